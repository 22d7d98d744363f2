//! Requests before, after and astride of a boundary, on nodes whose clocks disagree about it.

use holdover_api::{On, SaveAnswer, Write};

use super::gated::dies_on_the_way;
use super::stage::{Eve, Stage, all_read, dead_on};
use crate::case::Ending;
use crate::require;
use crate::suites::race::support::must_save;
use crate::trial::Trial;

pub(super) async fn follows_its_user(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let seat = stage.seat(0).await?;
    let key = seat.create(&stage).await?;
    let end = stage.boundary() + stage.terms.period * 2;
    while stage.now() < end {
        stage.until(stage.now() + stage.terms.max_lease / 3, &[&seat]).await?;
        seat.touch(&stage, &key).await?;
        all_read(&[&seat], &key, b"0").await?;
    }
    let left = seat.node.load_live(&key).await?.record.deadline.since(stage.now());
    require!(left == stage.terms.max_lease, "the last touch promised {left:?}");
    Ok(())
}

pub(super) async fn idle_sessions_end(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let seat = stage.seat(0).await?;
    let key = seat.create(&stage).await?;
    let name = stage.world.name(stage.begins());
    require!(stage.is_there(&name).await?, "the present table is not called as the world says");
    let deadline = seat.node.load_live(&key).await?.record.deadline;
    let end = stage.boundary() + stage.terms.max_lease + stage.terms.grace + stage.terms.max_skew * 2;
    stage.until(deadline - std::time::Duration::from_millis(1), &[&seat]).await?;
    all_read(&[&seat], &key, b"0").await?;
    stage.until(deadline, &[&seat]).await?;
    require!(seat.node.load(&key).await?.is_none(), "an expired session was loaded (I4)");
    stage.until(end + stage.terms.refresh + stage.step(), &[&seat]).await?;
    require!(!stage.is_there(&name).await?, "the table outlives the last lease in it");
    require!(seat.node.load(&key).await?.is_none(), "a session of a dropped table was loaded");
    Ok(())
}

pub(super) async fn read_only_astride(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: one, other: two, key } = Eve::of_the_boundary(&trial).await?;
    one.node.load_live(&key).await?;
    stage.over_the_boundary(&[&one, &two]).await?;
    one.touch(&stage, &key).await?;
    all_read(&[&one, &two], &key, b"0").await
}

pub(super) async fn writing_astride(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: one, other: two, key } = Eve::of_the_boundary(&trial).await?;
    let loaded = one.node.load_live(&key).await?;
    stage.over_the_boundary(&[&one, &two]).await?;
    let write = Write { base: Some(loaded), ..one.write(&stage, On::Live, b"1") };
    must_save(&one.node, &key, &write).await?;
    all_read(&[&one, &two], &key, b"1").await
}

pub(super) async fn reader_against_writer(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (reader, writer) = (stage.seat(0).await?, stage.seat(0).await?);
    stage.until_the_eve(&[&reader, &writer]).await?;
    let key = writer.create(&stage).await?;
    stage.over_the_boundary(&[&reader, &writer]).await?;
    reader.node.load_live(&key).await?;
    let loaded = writer.node.load_live(&key).await?;
    let write = Write { base: Some(loaded), ..writer.write(&stage, On::Live, b"1") };
    must_save(&writer.node, &key, &write).await?;
    reader.touch(&stage, &key).await?;
    all_read(&[&reader, &writer], &key, b"1").await
}

pub(super) async fn slow_writer_into_the_old_table(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: slow, other: fast, key } = Eve::with_clocks_apart(&trial).await?;
    let loaded = slow.node.load_live(&key).await?;
    stage.until(stage.boundary(), &[&slow, &fast]).await?;
    fast.save(&stage, &key, b"1").await?;
    let on = On::Head(loaded.record.head());
    let late = Write { base: Some(loaded), ..slow.write(&stage, on, b"late") };
    let answer = slow.node.save(&key, &late).await?;
    require!(
        matches!(answer, SaveAnswer::Conflict { .. }),
        "a write on what is no longer the head answered {answer:?} (I2)"
    );
    all_read(&[&slow, &fast], &key, b"1").await
}

pub(super) async fn save_on_the_slow_node(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: slow, other: fast, key } = Eve::with_clocks_apart(&trial).await?;
    stage.until(stage.boundary(), &[&slow, &fast]).await?;
    fast.touch(&stage, &key).await?;
    slow.save(&stage, &key, b"1").await?;
    all_read(&[&fast, &slow], &key, b"1").await
}

pub(super) async fn load_on_the_slow_node(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: slow, other: fast, key } = Eve::with_clocks_apart(&trial).await?;
    stage.until(stage.boundary(), &[&slow, &fast]).await?;
    fast.save(&stage, &key, b"1").await?;
    all_read(&[&slow, &fast], &key, b"1").await?;
    // This one leaves no trace in the table that the slow node's clock shows.
    fast.save(&stage, &key, b"2").await?;
    all_read(&[&slow, &fast], &key, b"2").await
}

pub(super) async fn login_on_the_fast_node(trial: Trial) -> Result<(), Ending> {
    let stage = Stage::set(&trial).await?;
    let (slow, fast) = stage.slow_and_fast().await?;
    stage.until(stage.boundary(), &[&slow, &fast]).await?;
    let key = fast.create(&stage).await?;
    all_read(&[&slow], &key, b"0").await?;
    slow.save(&stage, &key, b"1").await?;
    all_read(&[&fast, &slow], &key, b"1").await
}

pub(super) async fn logout_on_the_slow_node(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: slow, other: fast, key } = Eve::with_clocks_apart(&trial).await?;
    stage.until(stage.boundary(), &[&slow, &fast]).await?;
    fast.touch(&stage, &key).await?;
    slow.node.delete(&key).await?;
    dead_on(&stage, &[&fast, &slow], &key).await?;
    stage.begin_the_period(&[&slow, &fast]).await?;
    dead_on(&stage, &[&fast, &slow], &key).await
}

pub(super) async fn logout_after_a_move(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: one, other: two, key } = Eve::of_the_boundary(&trial).await?;
    stage.over_the_boundary(&[&one, &two]).await?;
    one.save(&stage, &key, b"1").await?;
    two.node.delete(&key).await?;
    dead_on(&stage, &[&one, &two], &key).await?;
    super::gated::helper_after_a_logout(trial).await
}

pub(super) async fn logout_before_a_move(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: one, other: two, key } = Eve::of_the_boundary(&trial).await?;
    let loaded = two.node.load_live(&key).await?;
    stage.over_the_boundary(&[&one, &two]).await?;
    one.node.delete(&key).await?;
    let late = Write { base: Some(loaded), ..two.write(&stage, On::Live, b"late") };
    let answer = two.node.save(&key, &late).await?;
    require!(matches!(answer, SaveAnswer::Gone), "a save after a logout answered {answer:?} (I1)");
    dead_on(&stage, &[&one, &two], &key).await?;
    super::gated::logout_against_a_move(trial).await
}

pub(super) async fn mover_dies(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: mover, other, key } = Eve::of_the_boundary(&trial).await?;
    stage.over_the_boundary(&[&mover, &other]).await?;
    let error = dies_on_the_way(&stage, &mover, &key, b"1").await?;
    require!(
        error.effect() == holdover_api::Effect::Unknown,
        "a write that was sealed says that it did nothing: {error}"
    );
    all_read(&[&other, &mover], &key, b"1").await?;
    other.save(&stage, &key, b"2").await?;
    all_read(&[&mover, &other], &key, b"2").await?;
    let writes = mover.node.load_live(&key).await?.record.lineage.writes();
    require!(writes == 3, "three writes count as {writes} (I3)");
    Ok(())
}

pub(super) async fn version_is_carried(trial: Trial) -> Result<(), Ending> {
    let Eve { stage, creator: one, other: two, key } = Eve::of_the_boundary(&trial).await?;
    let loaded = one.node.load_live(&key).await?;
    stage.over_the_boundary(&[&one, &two]).await?;
    two.touch(&stage, &key).await?;
    let write = Write { base: None, ..one.write(&stage, On::Head(loaded.record.head()), b"1") };
    must_save(&one.node, &key, &write).await?;
    all_read(&[&one, &two], &key, b"1").await
}
