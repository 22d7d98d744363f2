//! The rotation of dynamo-session-manager as whole stores, and what the cases say of them: two editions, each with all of
//! its rules, where `flaws` has one thing wrong at a time. `rotation/ANCESTOR.md` goes through its defects one by one.
//!
//! Left out: serialisation, capacity, metrics, requests that are ignored (nothing of them reaches a store), and the choice
//! of eventual reads. Tables are ready as soon as they are asked for, so that waiting for them in vain cannot be seen here.

mod figures;
mod rotator;
mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use holdover_api::{
    Clock, Deadline, Delta, Error, Freshness, On, SessionKey, SessionStore, Stamp, Timestamp, Write,
};
use holdover_conformance::rotation::Rotation;
use holdover_conformance::{
    CASE_LIMIT, Ending, Harness, Node, Verdict, fresh_seed, run_case_in, scope_of, suites,
};

use self::store::Row;
use crate::flaws::Flaw;
use crate::verdict;
use crate::world::{Kind, Server, Worlds};

/// The two editions that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edition {
    /// 1.9.0: a session that is nowhere is made under the client's id, and no deadline is looked at.
    Of2013,
    /// 1.9.1: neither of them, but one field of the node for what the values of any session came to when it was loaded.
    Of2015,
}

const EDITIONS: [Edition; 2] = [Edition::Of2013, Edition::Of2015];

/// What a case says of the edition of 2013 and of that of 2015.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Both,
    Neither,
    Only2013,
    Only2015,
}

impl Says {
    fn fails(self, edition: Edition) -> bool {
        match self {
            Self::Both => true,
            Self::Neither => false,
            Self::Only2013 => edition == Edition::Of2013,
            Self::Only2015 => edition == Edition::Of2015,
        }
    }
}

use Says::{Both, Neither, Only2013, Only2015};

/// Every case on rotation: which editions fail it, and what it meets there. S and T are traces of the models, D and X are
/// numbers of `ANCESTOR.md`.
const ON_ROTATION: &[(&str, Says, &str)] = &[
    ("ROT-01", Neither, "one user on one node whose requests end before the boundary: S8"),
    (
        "ROT-02",
        Both,
        "2013 serves what has expired (D5, X24); 2015 keeps the table for a period more, by design",
    ),
    ("ROT-03", Both, "S2, D11, X2: a row without data"),
    ("ROT-04", Neither, "X3: fine alone"),
    ("ROT-05", Both, "S1b, X1: a reader puts what it has loaded"),
    ("ROT-06", Neither, "not put to it"),
    ("ROT-07", Both, "S6, X4, D15: no condition"),
    ("ROT-08", Both, "S6, X5, D15"),
    ("ROT-09", Both, "S5, X6, D15"),
    ("ROT-10", Both, "S7, X7, D15"),
    ("ROT-11", Both, "S4, X8, D15"),
    ("ROT-12", Both, "S3, X9, D14"),
    ("ROT-13", Only2013, "both delete from both tables; 2013 then makes a session under the id: D8"),
    ("ROT-14", Both, "no seal: the put that is refused is all there is. Says nothing against the ancestor"),
    ("ROT-15", Neither, "not put to it"),
    ("ROT-16", Neither, "a put carries what the row had"),
    ("ROT-17", Neither, "not put to it"),
    ("ROT-18", Both, "D3, X12: what was loaded is put whole into a table that never had it"),
    ("ROT-19", Both, "T6, D12, X17: a restart forgets the previous table"),
    ("ROT-20", Both, "T5, X16: who slept drops what he does not remember"),
    ("ROT-21", Both, "D20, X16: a clock that is off drops tables"),
    ("ROT-22", Neither, "the step is shorter than a look at the clock: X18 needs a look in between"),
    ("ROT-23", Both, "T4, X15: no lease is too long"),
    ("ROT-24", Neither, "T1: no skew, nothing late"),
    ("ROT-25", Neither, "not put to it"),
    ("ROT-26", Both, "not too early where nobody sleeps, but a period too late: by design"),
    ("ROT-27", Only2013, "D5, X24: served long after its deadline"),
    ("ROT-28", Neither, "the old table is used on"),
    ("ROT-29", Both, "D4, D17, X20: that another node was faster is an error that nobody handles"),
    ("ROT-30", Both, "looks only near a boundary, and says nothing in between; loses nothing"),
    ("ROT-31", Both, "D17, X21: one page of the list"),
    ("ROT-32", Neither, "D7 was mended in both"),
    ("ROT-33", Neither, "X22 needs a node that rotates back"),
    ("ROT-34", Neither, "one write a request, two reads in the first"),
    ("ROT-35", Neither, "the old table is kept for a period, whatever comes late"),
    ("ROT-36", Both, "S1b to S7 together"),
];

/// Cases that stop requests on their way, or have tables that are not ready. The ancestor's requests come by no gates: what it
/// has not failed until then is vacuous.
const STOPPED: &[&str] = &["ROT-06", "ROT-12", "ROT-13", "ROT-15", "ROT-17", "ROT-25", "ROT-28"];

/// Defects that are not of rotation: cases of the other suites that meet them, put to the ancestor within one period.
const ON_THE_REST: &[(&str, Says, &str)] = &[
    ("CON-03", Only2013, "D8: a write to an unknown key makes the session"),
    ("CON-04", Only2013, "D8: so does a touch"),
    ("CON-10", Both, "X4 within a table: no condition"),
    ("CON-21", Both, "D10: names are not looked at"),
    ("CON-41", Both, "X19: a touch shortens"),
    ("CON-46", Both, "X27: what is tried again is made again"),
    ("RACE-01", Both, "D15 within a table: the last writer wins"),
    ("RACE-02", Both, "the same"),
    ("RACE-05", Both, "D14, X9: a slow writer undoes a logout"),
    ("RACE-06", Both, "D14: a slow reader too, or leaves a row without data"),
    ("RACE-12", Both, "D8: an id that is taken is no obstacle"),
    ("EXP-02", Only2013, "D5, X24: served after its deadline"),
    ("EXP-15", Both, "X19: the last writer's clock counts"),
    ("EXP-19", Only2015, "X25: a reader that is ahead deletes what another one extends"),
];

/// Servers of tables by place, and nodes whose keepers never come by.
struct Places {
    edition: Edition,
    servers: Mutex<HashMap<String, Arc<Server<Row>>>>,
}

#[async_trait]
impl Harness for Places {
    fn name(&self) -> String {
        format!("the ancestor ({:?})", self.edition)
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let server = {
            let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
            let server = servers.entry(node.place).or_insert_with(|| Arc::new(Server::at(node.clock.now())));
            Arc::clone(server)
        };
        Ok(self.edition.node(server, node.clock).await?.store)
    }
}

/// Where a verdict is not what the table says.
fn surprise(edition: Edition, id: &str, says: Says, verdict: &Verdict) -> Option<String> {
    let is_expected = match verdict {
        Verdict::Pass => !says.fails(edition),
        Verdict::Ended(Ending::Failed(_)) => says.fails(edition),
        Verdict::Ended(Ending::Vacuous(_)) => STOPPED.contains(&id) && !says.fails(edition),
        _ => false,
    };
    let reason = verdict.reason().unwrap_or_default();
    (!is_expected).then(|| format!("{edition:?} {id} {}: {reason}", verdict.word()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_fails_exactly_the_cases_that_its_rules_cannot_keep() {
    let says: BTreeMap<&str, Says> = ON_ROTATION.iter().map(|(id, says, _)| (*id, *says)).collect();
    let mut surprises = Vec::new();
    for edition in EDITIONS {
        for case in suites::on_tables() {
            let verdict = verdict(edition, &case).await;
            surprises.extend(surprise(edition, case.id, says[case.id], &verdict));
        }
    }
    assert!(surprises.is_empty(), "the table says otherwise:\n{}", surprises.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_fails_the_cases_of_the_other_suites_that_its_defects_are_in() {
    let mut surprises = Vec::new();
    for edition in EDITIONS {
        let harness: Arc<dyn Harness> = Arc::new(Places { edition, servers: Mutex::default() });
        let scope = scope_of(&harness).await.expect("a node can be opened");
        let seed = fresh_seed().expect("a seed is drawn");
        for (id, says, _) in ON_THE_REST {
            let case = suites::all().into_iter().find(|case| case.id == *id).expect("there is such a case");
            let verdict = run_case_in(&harness, &scope, &case, seed, CASE_LIMIT).await;
            surprises.extend(surprise(edition, id, *says, &verdict));
        }
    }
    assert!(surprises.is_empty(), "the table says otherwise:\n{}", surprises.join("\n"));
}

/// D9, X26: whether the change to a session is there, if another one that has just that value was loaded meanwhile.
async fn keeps_a_change(kind: impl Kind) -> bool {
    let rotation: Arc<dyn Rotation> = Arc::new(Worlds(kind));
    let world = rotation.world(Timestamp::from_millis(1_790_001_000_000)).await.expect("a world is made");
    let store = world.node(world.clock()).await.expect("a node can be opened").store;
    let deadline = Deadline::AtLeast(world.clock().now() + rotation.terms().max_lease);
    let write = |stamp, on, value: &'static [u8], base| {
        let mut delta = Delta::default();
        delta.set("n", value);
        Write { on, delta, stamp: Stamp::from_bytes([stamp; 16]), deadline, base }
    };
    let [one, two] = [1, 2].map(|number| SessionKey::from_bytes([number; 32]));
    let born = On::Absent { created: world.clock().now() };
    store.save(&one, &write(1, born, b"0", None)).await.expect("it is saved");
    store.save(&two, &write(2, born, b"1", None)).await.expect("it is saved");
    let loaded = store.load(&one, Freshness::Latest).await.expect("it is loaded");
    store.load(&two, Freshness::Latest).await.expect("it is loaded");
    store.save(&one, &write(3, On::Live, b"1", loaded)).await.expect("it is saved");
    let read = store.load(&one, Freshness::Latest).await.expect("it is loaded").expect("it is there");
    read.record.attributes.get("n").is_some_and(|value| value == "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_taken_for_none_by_what_another_session_came_to_in_one_edition_alone() {
    assert!(!keeps_a_change(Edition::Of2015).await);
    assert!(keeps_a_change(Edition::Of2013).await);
    assert!(keeps_a_change(Flaw::Nothing).await);
}

#[test]
fn the_table_has_every_case_on_rotation_once() {
    let named: BTreeSet<&str> = ON_ROTATION.iter().map(|(id, ..)| *id).collect();
    let existing: BTreeSet<&str> = suites::on_tables().iter().map(|case| case.id).collect();
    assert_eq!(named.len(), ON_ROTATION.len(), "a case is there twice");
    assert_eq!(named, existing);
}

/// Every case and every file that the document names is there.
#[test]
fn what_the_document_names_exists() {
    let document = include_str!("../../../ANCESTOR.md");
    let cases: BTreeSet<&str> = suites::all().iter().map(|case| case.id).collect();
    let words = document.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_./".contains(letter)));
    let mut missing = Vec::new();
    for word in words.map(|word| word.trim_matches('.')) {
        let is_case = suites::NAMES.iter().any(|suite| {
            let number =
                word.strip_prefix(&suite.to_ascii_uppercase()).and_then(|rest| rest.strip_prefix('-'));
            number
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        });
        let is_file = word.ends_with(".rs") || word.ends_with(".md");
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        if is_case && !cases.contains(word) || is_file && !root.join(word).exists() {
            missing.push(word);
        }
    }
    assert!(missing.is_empty(), "the document names what is not there: {missing:?}");
    let numbers =
        (1..=23).map(|number| format!("| D{number} |")).chain((1..=28).map(|n| format!("| X{n} |")));
    let left_out: Vec<String> = numbers.filter(|number| !document.contains(number.as_str())).collect();
    assert!(left_out.is_empty(), "the document leaves out {left_out:?}");
}
