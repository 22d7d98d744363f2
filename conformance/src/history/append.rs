//! Lists that only grow: lost updates and broken session guarantees without a search.
//!
//! Every request reads a list, appends a token that nobody else has, and writes the list back under the head that it
//! read. Where each write stands on exactly what its writer read, every list that anybody ever saw is a beginning of
//! the last one. The guarantees are those of Terry et al. (1994).

use std::collections::HashMap;

/// A token: unique in a run.
pub type AppendToken = u64;

/// How an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The store said that it happened.
    Saved,
    /// The store said that it did not.
    Refused,
}

/// One request: what it read, what it appended, and what it was told. Requests of one client are in program order.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// Who.
    pub client: usize,
    /// On which list.
    pub session: usize,
    /// What it read.
    pub read: Vec<AppendToken>,
    /// What it appended.
    pub token: AppendToken,
    /// What it was told.
    pub outcome: AppendOutcome,
}

/// All requests of a run, and the lists as they are in the end.
#[derive(Clone, Debug, Default)]
pub struct AppendLog {
    /// The requests; those of one client in program order.
    pub requests: Vec<AppendRequest>,
    /// The last list of each session.
    pub finals: Vec<Vec<AppendToken>>,
}

impl AppendLog {
    /// How many appends were refused because somebody else had been faster.
    pub fn refusals(&self) -> usize {
        let refused = |request: &&AppendRequest| request.outcome == AppendOutcome::Refused;
        self.requests.iter().filter(refused).count()
    }

    fn last(&self, session: usize) -> &[AppendToken] {
        self.finals.get(session).map_or(&[], Vec::as_slice)
    }

    /// No acknowledged append is lost or doubled (I2, I3), none that was refused is to be seen, and each stands
    /// directly on what its writer read.
    pub fn check_updates(&self) -> Result<(), String> {
        for request in &self.requests {
            let AppendRequest { client, session, token, .. } = request;
            let last = self.last(*session);
            let copies = last.iter().filter(|seen| *seen == token).count();
            match (request.outcome, copies) {
                (AppendOutcome::Refused, 0) => {}
                (AppendOutcome::Refused, _) => {
                    return Err(format!("token {token} of client {client} was refused and yet it is there"));
                }
                (AppendOutcome::Saved, 1) => check_place(request, last)?,
                (AppendOutcome::Saved, 0) => {
                    return Err(format!("lost update: token {token} of client {client} was acknowledged"));
                }
                (AppendOutcome::Saved, _) => {
                    return Err(format!("token {token} of client {client} took effect {copies} times"));
                }
            }
        }
        self.check_reads()
    }

    /// What anybody read is a beginning of the last list: no read of what was refused, nor of what was undone.
    fn check_reads(&self) -> Result<(), String> {
        for request in &self.requests {
            let last = self.last(request.session);
            if !last.starts_with(&request.read) {
                return Err(format!(
                    "client {} read {:?} in session {}, which ended as {last:?}",
                    request.client, request.read, request.session
                ));
            }
        }
        Ok(())
    }

    /// Read your writes and monotonic reads: no client reads less than it has written or read before.
    pub fn check_session_guarantees(&self) -> Result<(), String> {
        let mut known: HashMap<(usize, usize), Vec<AppendToken>> = HashMap::new();
        for request in &self.requests {
            let mine = known.entry((request.client, request.session)).or_default();
            if let Some(missing) = mine.iter().find(|token| !request.read.contains(token)) {
                return Err(format!(
                    "client {} had seen or written token {missing} of session {} and then read {:?}",
                    request.client, request.session, request.read
                ));
            }
            mine.clone_from(&request.read);
            if request.outcome == AppendOutcome::Saved {
                mine.push(request.token);
            }
        }
        Ok(())
    }

    /// Monotonic writes and writes follow reads: a client's tokens are in program order, behind all that it had read.
    pub fn check_order(&self) -> Result<(), String> {
        let mut written: HashMap<(usize, usize), usize> = HashMap::new();
        for request in &self.requests {
            if request.outcome == AppendOutcome::Refused {
                continue;
            }
            let AppendRequest { client, session, token, .. } = request;
            let last = self.last(*session);
            let Some(position) = last.iter().position(|seen| seen == token) else {
                return Err(format!("token {token} of client {client} is not in {last:?}"));
            };
            let before = written.insert((*client, *session), position);
            if before.is_some_and(|before| before >= position) {
                return Err(format!(
                    "token {token} of client {client} stands before its older one in {last:?}"
                ));
            }
            let earlier = &last[..position];
            if let Some(missing) = request.read.iter().find(|read| !earlier.contains(read)) {
                return Err(format!("client {client} read {missing} and then wrote {token}: {last:?}"));
            }
        }
        Ok(())
    }
}

fn check_place(request: &AppendRequest, last: &[AppendToken]) -> Result<(), String> {
    let mut written = request.read.clone();
    written.push(request.token);
    if last.starts_with(&written) {
        return Ok(());
    }
    Err(format!(
        "client {} wrote {written:?} over exactly what it had read, and session {} ended as {last:?}",
        request.client, request.session
    ))
}
