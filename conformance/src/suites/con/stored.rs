//! Bytes in the store that this library did not write, or not this version of it.

use std::sync::Arc;

use holdover_api::{Effect, Error, ErrorKind, On, SessionKey, frame};

use super::{below_the_store, gone};
use crate::case::{Applies, Case, Ending, Scope};
use crate::harness::Raw;
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-27",
            malformed_bytes_are_corrupt_and_can_be_deleted,
            below_the_store,
            "One unreadable record must be an error and not an empty session, and must not lock its user out for ever \
             (spring-session#90, #529)."
        ),
        case!(
            "CON-29",
            a_newer_format_is_refused_and_left_alone,
            below_the_store,
            "During an upgrade old nodes meet records of new ones: they must not read them wrongly, nor write or touch \
             them away (spring-session#1939)."
        ),
        case!(
            "CON-30",
            hostile_lengths_are_corrupt_and_cheap,
            keeps_frames,
            "A length field that promises more than there is must neither panic nor allocate what it promises."
        ),
    ]
}

struct Below {
    node: Subject,
    raw: Arc<dyn Raw>,
    trial: Trial,
}

impl Below {
    async fn open(trial: Trial) -> Result<Self, Ending> {
        let node = trial.node().await?;
        let Some(raw) = trial.harness().raw() else {
            return Err(Ending::Error("the harness lost its access below the store".to_owned()));
        };
        Ok(Self { node, raw, trial })
    }

    async fn bytes(&self, key: &SessionKey) -> Result<Vec<u8>, Ending> {
        let read = self.raw.read(self.trial.place(), key).await.map_err(Ending::Error)?;
        read.ok_or_else(|| Ending::Failed("nothing is stored where a session is".to_owned()))
    }

    async fn overwrite(&self, key: &SessionKey, bytes: &[u8]) -> Result<(), Ending> {
        self.raw.overwrite(self.trial.place(), key, bytes).await.map_err(Ending::Error)
    }

    /// Every operation that has to understand the record says that it is corrupt, without effect.
    async fn is_corrupt_and_left_alone(&self, key: &SessionKey, what: &str) -> Result<(), Ending> {
        let before = self.bytes(key).await?;
        let store = &self.node.store;
        let load = store.load(key, holdover_api::Freshness::Latest).await;
        corrupt(load.map(|found| found.is_some()), "a load", what)?;
        let merge = self.node.write(On::Live, &[("a", b"2")]);
        corrupt(store.save(key, &merge).await, "a merge", what)?;
        let swap = self.node.write(On::Head(self.trial.stamp()), &[("a", b"2")]);
        corrupt(store.save(key, &swap).await, "a compare-and-set", what)?;
        corrupt(store.touch(key, self.trial.now() + LIFETIME + LIFETIME).await, "a touch", what)?;
        corrupt(store.inspect(key).await, "an inspection", what)?;
        let after = self.bytes(key).await?;
        require!(after == before, "an operation that failed on {what} changed the stored bytes");
        Ok(())
    }

    /// The way out: the session can be deleted, and its key used again.
    async fn can_be_deleted(&self, key: &SessionKey, what: &str) -> Result<(), Ending> {
        self.node.delete(key).await?;
        require!(self.node.load(key).await?.is_none(), "{what} is still there after a deletion");
        gone(&self.node.save(key, &self.node.write(On::Live, &[])).await?, "a write after that deletion")
    }
}

fn corrupt<T: std::fmt::Debug>(result: Result<T, Error>, operation: &str, what: &str) -> Result<(), Ending> {
    match result {
        Ok(answer) => Err(Ending::Failed(format!(
            "{operation} on {what} has to fail as corrupt, and it answered {answer:?}"
        ))),
        Err(error) if error.kind() == ErrorKind::Corrupt && error.effect() == Effect::None => Ok(()),
        Err(error) => Err(Ending::Failed(format!(
            "{operation} on {what} has to fail as corrupt without effect, and it failed with: {error}"
        ))),
    }
}

async fn malformed_bytes_are_corrupt_and_can_be_deleted(trial: Trial) -> Result<(), Ending> {
    let below = Below::open(trial.clone()).await?;
    let sentinel = below.node.create(&[("a", b"untouched")]).await?;
    let template = below.node.create(&[("a", b"1"), ("b", b"2")]).await?;
    let whole = below.bytes(&template).await?;
    let half = whole[..whole.len() / 2].to_vec();
    let longer = [&whole[..], b"tail"].concat();
    // The first byte of noise could by chance be the version's; the others could not make a frame.
    let mut noise = trial.bytes(200);
    noise[0] = 0;
    let wrecks: [(&str, Vec<u8>); 5] = [
        ("a record cut in half", half),
        ("a record with a tail", longer),
        ("one byte", vec![b'x']),
        ("no bytes at all", Vec::new()),
        ("noise", noise),
    ];
    for (what, bytes) in wrecks {
        let key = below.node.create(&[("a", b"1")]).await?;
        below.overwrite(&key, &bytes).await?;
        below.is_corrupt_and_left_alone(&key, what).await?;
        below.can_be_deleted(&key, what).await?;
    }
    let untouched = below.node.load_live(&sentinel).await?.record;
    require!(untouched.attributes["a"] == b"untouched"[..], "another session was harmed");
    Ok(())
}

async fn a_newer_format_is_refused_and_left_alone(trial: Trial) -> Result<(), Ending> {
    let below = Below::open(trial).await?;
    let template = below.node.create(&[("a", b"1")]).await?;
    let forms = below.raw.made_newer(&below.bytes(&template).await?).len();
    if forms == 0 {
        return Err(Ending::Vacuous("the harness knows nothing newer than what is stored".to_owned()));
    }
    for form in 0..forms {
        let key = below.node.create(&[("a", b"1")]).await?;
        let newer = below.raw.made_newer(&below.bytes(&key).await?).swap_remove(form);
        below.overwrite(&key, &newer).await?;
        below.is_corrupt_and_left_alone(&key, "a record of a newer format").await?;
        below.can_be_deleted(&key, "a record of a newer format").await?;
    }
    Ok(())
}

fn keeps_frames(scope: &Scope) -> Applies {
    match below_the_store(scope) {
        Applies::Yes if !scope.frames => {
            Applies::No("the server keeps the parts of a record apart: there are no lengths of ours")
        }
        other => other,
    }
}

async fn hostile_lengths_are_corrupt_and_cheap(trial: Trial) -> Result<(), Ending> {
    let below = Below::open(trial).await?;
    let lineage_length = frame::LINEAGE_LENGTH_OFFSET;
    let attribute_count = frame::HEAD_OFFSET + 16;
    let name_length = attribute_count + 8;
    for offset in [lineage_length, attribute_count, name_length] {
        for hostile in [u64::MAX, 1 << 40, 17] {
            let key = below.node.create(&[("a", b"1")]).await?;
            let mut wreck = below.bytes(&key).await?;
            wreck[offset..][..8].copy_from_slice(&hostile.to_le_bytes());
            below.overwrite(&key, &wreck).await?;
            below.is_corrupt_and_left_alone(&key, "a record with a false length").await?;
            below.can_be_deleted(&key, "a record with a false length").await?;
        }
    }
    Ok(())
}
