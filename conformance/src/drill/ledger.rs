//! What was asked of the store during a drill, and what it answered.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdover_api::{Record, SessionKey, Timestamp};
use tokio::sync::watch;

/// What is known of one write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody has asked for it.
    #[default]
    Unasked,
    /// It was asked for, and may or may not have happened, or may still happen.
    Uncertain,
    /// It was acknowledged.
    Acknowledged,
    /// It was refused, or its error swore that it had no effect.
    Denied,
}

/// One session of the load.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) key: SessionKey,
    pub(crate) birth: Fate,
    /// Attributes that nobody else writes, one for each merge.
    pub(crate) merges: Vec<(String, Fate)>,
    /// Numbers that were appended to the attribute [`LIST`], by compare and set.
    pub(crate) appends: Vec<(u64, Fate)>,
    /// The latest deadline that a touch was acknowledged for.
    pub(crate) deadline: Timestamp,
    pub(crate) logout: Fate,
}

const RESURRECTED: &str = "a session lives though its logout was acknowledged (I1)";

/// The attribute that appends go to.
pub(crate) const LIST: &str = "list";

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An acknowledged write, or a whole session, is not there (I2).
    Lost,
    /// A session lives though its logout was acknowledged (I1).
    Resurrected,
    /// A write is there that was denied, or twice.
    Invented,
    /// An error of a kind that no fault of a server explains.
    Strange,
}

/// A broken promise, in words.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What has been done, for whoever waits for more of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) acknowledged: usize,
    pub(crate) errors: usize,
    pub(crate) findings: usize,
}

/// The ledger of one drill.
#[derive(Default)]
pub(crate) struct Ledger {
    sessions: Mutex<Vec<Session>>,
    findings: Mutex<Vec<Finding>>,
    progress: watch::Sender<Progress>,
}

impl Ledger {
    /// A session that is about to be created.
    pub(crate) fn begin(&self, key: SessionKey, deadline: Timestamp) -> usize {
        let mut sessions = self.sessions();
        let (merges, appends) = (Vec::new(), Vec::new());
        let session =
            Session { key, birth: Fate::Uncertain, merges, appends, deadline, logout: Fate::Unasked };
        sessions.push(session);
        sessions.len() - 1
    }

    /// Looks at one session or changes what is known of it.
    pub(crate) fn with<T>(&self, number: usize, change: impl FnOnce(&mut Session) -> T) -> T {
        change(&mut self.sessions()[number])
    }

    /// A copy of everything.
    pub(crate) fn all(&self) -> Vec<Session> {
        self.sessions().clone()
    }

    /// Something was acknowledged.
    pub(crate) fn acknowledge(&self) {
        self.progress.send_modify(|progress| progress.acknowledged += 1);
    }

    /// Something failed.
    pub(crate) fn fail(&self) {
        self.progress.send_modify(|progress| progress.errors += 1);
    }

    /// A promise was broken.
    pub(crate) fn complain(&self, kind: Kind, text: impl Into<String>) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings.push(Finding { kind, text: text.into() });
        drop(findings);
        self.progress.send_modify(|progress| progress.findings += 1);
    }

    /// Every broken promise.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What has been done up to now.
    pub(crate) fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until so much has been done.
    pub(crate) async fn until(&self, wanted: impl FnMut(&Progress) -> bool) {
        // The sender lives as long as this value.
        let _ = self.progress.subscribe().wait_for(wanted).await;
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The numbers in a record's list.
pub(crate) fn listed(record: &Record) -> Vec<u64> {
    let list = record.attributes.get(LIST);
    let text = list.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

impl Session {
    /// Whether it was created for certain and nobody has asked to destroy it.
    pub(crate) fn has_to_live(&self) -> bool {
        self.birth == Fate::Acknowledged && self.logout == Fate::Unasked
    }

    /// What is wrong with what was read, given that everything known here happened before the reading began, or is
    /// uncertain.
    pub(crate) fn judge(&self, read: Option<&Record>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut complain = |kind, text: String| findings.push(Finding { kind, text });
        let Some(record) = read else {
            if self.has_to_live() {
                complain(Kind::Lost, "a session that was never logged out is gone (I2)".into());
            }
            return findings;
        };
        match (self.birth, self.logout) {
            (Fate::Denied, _) => {
                complain(Kind::Invented, "a session lives whose creation was denied".into());
            }
            (_, Fate::Acknowledged) => {
                complain(Kind::Resurrected, RESURRECTED.into());
            }
            _ => {}
        }
        for (name, fate) in &self.merges {
            match (fate, record.attributes.contains_key(name)) {
                (Fate::Acknowledged, false) => {
                    complain(Kind::Lost, format!("the acknowledged write of {name} is lost (I2)"));
                }
                (Fate::Denied, true) => {
                    complain(Kind::Invented, format!("the write of {name} was denied and is there"));
                }
                _ => {}
            }
        }
        let list = listed(record);
        for (number, fate) in &self.appends {
            let times = list.iter().filter(|listed| *listed == number).count();
            match (fate, times) {
                (Fate::Acknowledged, 0) => {
                    complain(Kind::Lost, format!("the acknowledged append of {number} is lost (I2)"));
                }
                (Fate::Denied, 1..) => {
                    complain(Kind::Invented, format!("the append of {number} was denied and is there"));
                }
                (_, 2..) => {
                    complain(Kind::Invented, format!("the append of {number} happened {times} times (I3)"));
                }
                _ => {}
            }
        }
        if record.deadline < self.deadline {
            complain(Kind::Lost, "a session ends before the deadline that was acknowledged (S12)".into());
        }
        findings
    }
}
