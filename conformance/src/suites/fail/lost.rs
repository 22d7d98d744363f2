//! The server did it, and its answer was lost.

use holdover_api::{
    Error, InstallAnswer, On, Operation, Record, SaveAnswer, SessionKey, Stamp, Standing, Stored, Write,
};

use super::tools::{Lane, bounded, insist, swears_no_effect, unavailable};
use crate::case::Ending;
use crate::proxy::Break;
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

/// How often an answer is cut off before it counts as impossible to cut the right one: a store with several connections
/// may have to open one first, and then the cut hits its greeting; and one that moves sessions needs more answers for some.
const ATTEMPTS: usize = 16;

/// The parts of the answer that still arrive, in quarters of its length: nothing, some, all but a byte.
const CUTS: [(usize, Break); 5] =
    [(0, Break::Close), (0, Break::Reset), (1, Break::Close), (2, Break::Reset), (4, Break::Close)];

/// A node whose answers get lost, and another node that sees what really happened.
struct Bench {
    lane: Lane,
    other: Subject,
    /// How many answers of the server the operation waits for. The last one tells of the change: a store of whole
    /// records reads before it writes.
    answers: usize,
    /// How long the last one is.
    length: usize,
}

impl Bench {
    async fn open(trial: &Trial) -> Result<Self, Ending> {
        let lane = Lane::open(trial).await?;
        let other = trial.node().await?;
        Ok(Self { lane, other, answers: 1, length: 0 })
    }

    /// Runs an operation that succeeds, to learn how many answers it waits for and how long the last one is.
    async fn measure<T>(&mut self, work: impl Future<Output = Result<T, Ending>>) -> Result<(), Ending> {
        let before = self.lane.proxy.counts().responses;
        work.await?;
        let after = self.lane.proxy.counts();
        self.answers = after.responses - before;
        self.length = after.last_response_bytes;
        Ok(())
    }

    fn kept(&self, quarters: usize) -> usize {
        if quarters == 0 {
            0
        } else {
            (self.length * quarters / 4).clamp(1, self.length.saturating_sub(1).max(1))
        }
    }

    /// Runs an operation whose last answer is cut off. Answers whether the cut struck, and how the operation ended.
    async fn lose<T>(
        &self,
        operation: Operation,
        cut: (usize, Break),
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<(bool, Result<T, Error>), Ending> {
        let proxy = &self.lane.proxy;
        let before = proxy.counts().cuts;
        proxy.cut_response(self.answers.saturating_sub(1), self.kept(cut.0), cut.1);
        let result = bounded(operation.name(), work).await?;
        let struck = proxy.counts().cuts > before;
        proxy.heal().await;
        if let Err(error) = &result {
            unavailable(error)?;
        }
        Ok((struck, result))
    }
}

/// The error of an operation that took effect may not swear that it did not.
fn honest<T>(result: &Result<T, Error>) -> Result<(), Ending> {
    let honest = !swears_no_effect(result);
    require!(
        honest,
        "the answer was lost after the commit, and the error says that there was no effect (I3)"
    );
    Ok(())
}

fn never_struck(operation: Operation) -> Ending {
    Ending::Vacuous(format!("no answer to a {operation} could be cut off after it had taken effect"))
}

/// FAIL-04: merges and compare-and-set.
pub(super) async fn save(trial: Trial) -> Result<(), Ending> {
    for on_head in [false, true] {
        let mut bench = Bench::open(&trial).await?;
        let node = bench.lane.node.clone();
        let warm = node.create(&[]).await?;
        node.merge(&warm, &[("n", b"0")]).await?;
        bench.measure(node.merge(&warm, &[("n", b"1")])).await?;
        for cut in CUTS {
            lose_a_save(&bench, on_head, cut).await?;
        }
    }
    Ok(())
}

async fn lose_a_save(bench: &Bench, on_head: bool, cut: (usize, Break)) -> Result<(), Ending> {
    let node = &bench.lane.node;
    for _ in 0..ATTEMPTS {
        let key = bench.other.create(&[("n", b"first")]).await?;
        let first = bench.other.load_live(&key).await?.record.head();
        let on = if on_head { On::Head(first) } else { On::Live };
        let write = node.write(on, &[("n", b"lost")]);
        let (struck, result) = bench.lose(Operation::Save, cut, node.store.save(&key, &write)).await?;
        let committed = bench.other.load_live(&key).await?.record.lineage.contains(write.stamp);
        if !struck || !committed {
            continue;
        }
        honest(&result)?;
        if let Ok(answer) = result {
            saved(&answer, Some(first))?;
        }
        return retry_a_save(bench, &key, &write, &[first]).await;
    }
    Err(never_struck(Operation::Save))
}

/// FAIL-05.
pub(super) async fn create(trial: Trial) -> Result<(), Ending> {
    let mut bench = Bench::open(&trial).await?;
    let node = bench.lane.node.clone();
    node.create(&[("n", b"0")]).await?;
    bench.measure(node.create(&[("n", b"0")])).await?;
    for cut in CUTS {
        lose_a_create(&trial, &bench, cut).await?;
    }
    Ok(())
}

async fn lose_a_create(trial: &Trial, bench: &Bench, cut: (usize, Break)) -> Result<(), Ending> {
    let node = &bench.lane.node;
    for _ in 0..ATTEMPTS {
        let key = trial.key();
        let write = node.creation(&[("n", b"lost")]);
        let (struck, result) = bench.lose(Operation::Save, cut, node.store.save(&key, &write)).await?;
        let committed = bench.other.load(&key).await?.is_some();
        if !struck || !committed {
            continue;
        }
        honest(&result)?;
        if let Ok(answer) = result {
            saved(&answer, None)?;
        }
        return retry_a_save(bench, &key, &write, &[]).await;
    }
    Err(never_struck(Operation::Save))
}

/// Somebody else writes, then the write whose answer was lost is tried again: it is recognised and changes nothing.
async fn retry_a_save(
    bench: &Bench,
    key: &SessionKey,
    write: &Write,
    before: &[Stamp],
) -> Result<(), Ending> {
    let other = bench.other.write(On::Live, &[("n", b"newer")]);
    bench.other.save(key, &other).await?;
    let store = &bench.lane.node.store;
    let answer = insist("the retry of a save", || store.save(key, write)).await?;
    let record = bench.other.load_live(key).await?.record;
    let kept = record.attributes.get("n").is_some_and(|value| value == "newer");
    require!(kept, "the retry of a save took effect a second time, over somebody else's write (I3)");
    let expected = [&[other.stamp, write.stamp], before].concat();
    let once = record.lineage.stamps() == expected;
    require!(
        once,
        "the lineage shows {} writes where {} were made",
        record.lineage.stamps().len(),
        expected.len()
    );
    saved(&answer, before.first().copied())
}

fn saved(answer: &SaveAnswer, before: Option<Stamp>) -> Result<(), Ending> {
    let SaveAnswer::Saved { previous } = answer else {
        return Err(Ending::Failed(format!("a write that had taken effect was reported as {answer:?}")));
    };
    require!(previous.is_none() || *previous == before, "a retry names a head that it did not replace");
    Ok(())
}

/// FAIL-37.
pub(super) async fn touch(trial: Trial) -> Result<(), Ending> {
    let mut bench = Bench::open(&trial).await?;
    let node = bench.lane.node.clone();
    let warm = node.create(&[]).await?;
    node.touch(&warm, node.now() + LIFETIME * 2).await?;
    bench.measure(node.touch(&warm, node.now() + LIFETIME * 3)).await?;
    for cut in CUTS {
        lose_a_touch(&bench, cut).await?;
    }
    Ok(())
}

async fn lose_a_touch(bench: &Bench, cut: (usize, Break)) -> Result<(), Ending> {
    let node = &bench.lane.node;
    let deadline = node.now() + LIFETIME * 2;
    for _ in 0..ATTEMPTS {
        let key = bench.other.create(&[]).await?;
        let (struck, result) = bench.lose(Operation::Touch, cut, node.store.touch(&key, deadline)).await?;
        let committed = bench.other.load_live(&key).await?.record.deadline >= deadline;
        if !struck || !committed {
            continue;
        }
        honest(&result)?;
        let found = insist("the retry of a touch", || node.store.touch(&key, deadline)).await?;
        require!(found, "the retry of a touch found no session");
        let record = bench.other.load_live(&key).await?.record;
        require!(
            record.deadline == deadline,
            "a touch that was tried again moved the deadline past what it asked for"
        );
        return Ok(());
    }
    Err(never_struck(Operation::Touch))
}

/// FAIL-38.
pub(super) async fn delete(trial: Trial) -> Result<(), Ending> {
    let mut bench = Bench::open(&trial).await?;
    let node = bench.lane.node.clone();
    for _ in 0..2 {
        let warm = node.create(&[]).await?;
        bench.measure(node.delete(&warm)).await?;
    }
    for cut in CUTS {
        lose_a_delete(&bench, cut).await?;
    }
    Ok(())
}

async fn lose_a_delete(bench: &Bench, cut: (usize, Break)) -> Result<(), Ending> {
    let node = &bench.lane.node;
    for _ in 0..ATTEMPTS {
        let key = bench.other.create(&[]).await?;
        let (struck, result) = bench.lose(Operation::Delete, cut, node.store.delete(&key)).await?;
        let committed = bench.other.load(&key).await?.is_none();
        if !struck || !committed {
            continue;
        }
        honest(&result)?;
        insist("the retry of a delete", || node.store.delete(&key)).await?;
        require!(
            bench.other.load(&key).await?.is_none(),
            "the retry of a delete brought the session back (I1)"
        );
        return Ok(());
    }
    Err(never_struck(Operation::Delete))
}

/// FAIL-39.
pub(super) async fn install(trial: Trial) -> Result<(), Ending> {
    let mut bench = Bench::open(&trial).await?;
    for _ in 0..2 {
        let (key, over, new) = an_installation(&trial, &bench).await?;
        let node = bench.lane.node.clone();
        let work = async move { node.store.install(&key, Some(over), &new).await };
        let failed = |error| Ending::Failed(format!("install failed where it has to succeed: {error}"));
        bench.measure(async { work.await.map_err(failed) }).await?;
    }
    for cut in CUTS {
        lose_an_install(&trial, &bench, cut).await?;
    }
    Ok(())
}

/// A new record, and what it is installed over.
async fn an_installation(trial: &Trial, bench: &Bench) -> Result<(SessionKey, Standing, Stored), Ending> {
    let key = bench.other.create(&[("n", b"old")]).await?;
    let loaded = bench.other.load_live(&key).await?;
    let attributes = [("n".to_owned(), "new".into())].into();
    let lineage = loaded.record.lineage.pushed(trial.stamp());
    let new = Record { attributes, lineage, ..Record::clone(&loaded.record) };
    Ok((key, loaded.record.standing(), Stored::Record(new)))
}

async fn lose_an_install(trial: &Trial, bench: &Bench, cut: (usize, Break)) -> Result<(), Ending> {
    let store = &bench.lane.node.store;
    for _ in 0..ATTEMPTS {
        let (key, over, new) = an_installation(trial, bench).await?;
        let work = store.install(&key, Some(over), &new);
        let (struck, result) = bench.lose(Operation::Install, cut, work).await?;
        let committed = bench.other.load_live(&key).await?.record.head() == new.head();
        if !struck || !committed {
            continue;
        }
        honest(&result)?;
        let answer = insist("the retry of an install", || store.install(&key, Some(over), &new)).await?;
        let installed = matches!(answer, InstallAnswer::Installed);
        require!(installed, "an installation that had happened was reported as {answer:?}");
        let stored = insist("inspect", || bench.other.store.inspect(&key)).await?;
        require!(stored.as_ref() == Some(&new), "what was installed is not what is stored");
        return Ok(());
    }
    Err(never_struck(Operation::Install))
}
