//! Two requests change one session: RACE-01, RACE-02 and RACE-04. All interleavings are exact.

use holdover_api::{On, SaveAnswer};

use super::support::{all_read, case, must_conflict, must_save, number, on_head, on_live, text, two_nodes};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::Trial;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "RACE-01",
            "writers_of_different_attributes_lose_nothing",
            "Two parallel requests change different attributes. Stores that put whole records back lose one of the \
             changes (connect-redis#75, aspnet/Session#60, tower-sessions#35). A merge (S6) loses neither, and a \
             write on a head (S7) conflicts and has both after it is tried again.",
            |trial| Box::pin(different_attributes(trial)),
        ),
        case(
            "RACE-02",
            "two_increments_of_one_counter_both_count",
            "Two parallel requests increment one counter. A merge by attribute does not help here \
             (flask-session#71): only a write on the head that was read does (S7). The first writer's retry after \
             a lost answer changes nothing (S9, I3).",
            |trial| Box::pin(same_counter(trial)),
        ),
        case(
            "RACE-04",
            "write_skew_is_allowed_by_a_merge_and_prevented_by_a_head",
            "Each of two requests reads both attributes and sets its own only if the other is not set. A merge \
             loses no attribute and so allows both: that is its contract, and the case requires it. Who has such a \
             rule uses a write on a head, and then only one of them gets through.",
            |trial| Box::pin(write_skew(trial)),
        ),
    ]
}

async fn different_attributes(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;

    let merged = one.create(&[("kept", b"0")]).await?;
    let slow = one.load_live(&merged).await?;
    let quick = two.load_live(&merged).await?;
    must_save(&two, &merged, &on_live(&two, &quick, &[("b", b"2")])).await?;
    must_save(&one, &merged, &on_live(&one, &slow, &[("a", b"1")])).await?;
    for (name, value) in [("kept", "0"), ("a", "1"), ("b", "2")] {
        all_read(&[&one, &two], &merged, name, value).await?;
    }

    let compared = one.create(&[("kept", b"0")]).await?;
    let slow = one.load_live(&compared).await?;
    let quick = two.load_live(&compared).await?;
    must_save(&two, &compared, &on_head(&two, &quick, &[("b", b"2")])).await?;
    let current = must_conflict(&one, &compared, &on_head(&one, &slow, &[("a", b"1")])).await?;
    require!(text(&current.record, "b") == "2", "the conflict has to carry what the other request wrote");
    must_save(&one, &compared, &on_head(&one, &current, &[("a", b"1")])).await?;
    for (name, value) in [("kept", "0"), ("a", "1"), ("b", "2")] {
        all_read(&[&one, &two], &compared, name, value).await?;
    }
    Ok(())
}

async fn same_counter(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let key = one.create(&[("n", b"5")]).await?;
    let slow = one.load_live(&key).await?;
    let quick = two.load_live(&key).await?;
    let first = on_head(&two, &quick, &[("n", b"6")]);
    must_save(&two, &key, &first).await?;

    let current = must_conflict(&one, &key, &on_head(&one, &slow, &[("n", b"6")])).await?;
    let next = number(&current.record, "n") + 1;
    must_save(&one, &key, &on_head(&one, &current, &[("n", next.to_string().as_bytes())])).await?;
    all_read(&[&one, &two], &key, "n", "7").await?;

    let retried = two.save(&key, &first).await?;
    require!(
        matches!(retried, SaveAnswer::Saved { .. }),
        "the retry of a write that has happened answered {retried:?}: its writer would count again"
    );
    all_read(&[&one, &two], &key, "n", "7").await
}

async fn write_skew(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;

    let merged = one.create(&[]).await?;
    let first = one.load_live(&merged).await?;
    let second = two.load_live(&merged).await?;
    must_save(&one, &merged, &on_live(&one, &first, &[("x", b"1")])).await?;
    must_save(&two, &merged, &on_live(&two, &second, &[("y", b"1")])).await?;
    all_read(&[&one, &two], &merged, "x", "1").await?;
    all_read(&[&one, &two], &merged, "y", "1").await?;

    let compared = one.create(&[]).await?;
    let first = one.load_live(&compared).await?;
    let second = two.load_live(&compared).await?;
    must_save(&one, &compared, &on_head(&one, &first, &[("x", b"1")])).await?;
    let current = must_conflict(&two, &compared, &on_head(&two, &second, &[("y", b"1")])).await?;
    require!(number(&current.record, "x") == 1, "the conflict has to show why the rule forbids the write");
    let seen = one.load_live(&compared).await?;
    require!(!seen.record.attributes.contains_key("y"), "a refused write left an attribute behind");

    // Nor may a write that stands on nothing slip past the rule.
    let answer = two.save(&compared, &two.creation(&[("y", b"1")])).await?;
    require!(
        matches!(answer, SaveAnswer::Conflict { .. }),
        "a create over a live session answered {answer:?}"
    );
    let answer = two.save(&compared, &two.write(On::Head(second.record.head()), &[("y", b"1")])).await?;
    require!(
        matches!(answer, SaveAnswer::Conflict { .. }),
        "without a base, a stale head answered {answer:?}"
    );
    Ok(())
}
