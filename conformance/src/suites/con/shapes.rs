//! Names and values of every shape.

use holdover_api::{Attributes, On};

use super::{always, saved};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::Trial;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-14",
            an_empty_session_is_a_session,
            always,
            "S2: a session without attributes is alive; taking it for absent logs its user out."
        ),
        case!(
            "CON-15",
            any_bytes_are_kept,
            always,
            "S2, S4: values are bytes, not text: every byte, line ends, nothing at all, and 64 KiB of noise."
        ),
        case!(
            "CON-16",
            odd_names_are_kept,
            always,
            "S2, S6: a name is any text. Dots and dollars mean something to MongoDB, a space to memcached, and a name \
             of the store's own field to everybody."
        ),
        case!(
            "CON-20",
            a_small_value_after_a_large_one_has_no_tail,
            always,
            "S4: a value that is overwritten in place keeps the end of the longer one."
        ),
    ]
}

async fn an_empty_session_is_a_session(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let empty = node.create(&[]).await?;
    let record = node.load_live(&empty).await?.record;
    require!(record.attributes.is_empty(), "a session created empty has {:?}", record.attributes);

    let emptied = node.create(&[("a", b"1")]).await?;
    let mut removal = node.write(On::Live, &[]);
    removal.delta.remove("a");
    saved(&node.save(&emptied, &removal).await?, "a write that removes the last attribute")?;
    let record = node.load_live(&emptied).await?.record;
    require!(record.attributes.is_empty(), "the last attribute is still there");
    node.merge(&emptied, &[("b", b"2")]).await?;
    let record = node.load_live(&emptied).await?.record;
    require!(record.attributes.len() == 1, "a session that was empty does not take attributes");
    Ok(())
}

async fn any_bytes_are_kept(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let every_byte: Vec<u8> = (0..=255).collect();
    let noise = trial.bytes(64 * 1024);
    let values: [&[u8]; 8] =
        [&every_byte, b"", b"\0", b"\r\nDEL x\r\n", b"\xff\xfe not utf-8", b" spaces ", b"nil", &noise];
    let names: Vec<String> = (0..values.len()).map(|number| format!("value {number}")).collect();
    let set: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(values).collect();

    let created = node.create(&set).await?;
    let merged = node.create(&[]).await?;
    node.merge(&merged, &set).await?;
    for key in [created, merged] {
        let attributes = node.load_live(&key).await?.record.attributes.clone();
        require!(attributes.len() == set.len(), "{} values became {}", set.len(), attributes.len());
        for (name, value) in &set {
            require!(attributes[*name] == **value, "{name} came back with other bytes");
        }
    }
    Ok(())
}

async fn odd_names_are_kept(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let long = "n".repeat(1024);
    let names: [&str; 24] = [
        "",
        ".",
        "..",
        "$x",
        "a.b",
        "a",
        "A",
        "\0",
        "a\0b",
        " ",
        " a",
        "a ",
        "\r\n",
        "*",
        "{}",
        "[0]",
        "🦀",
        "é",
        "e\u{301}",
        "_id",
        "deadline",
        "lineage",
        "__proto__",
        &long,
    ];
    let values: Vec<String> = (0..names.len()).map(|number| format!("value {number}")).collect();
    let pairs = || names.iter().copied().zip(&values);
    let set: Vec<(&str, &[u8])> = pairs().map(|(name, value)| (name, value.as_bytes())).collect();
    let expected: Attributes =
        pairs().map(|(name, value)| (name.to_owned(), value.clone().into_bytes().into())).collect();

    let created = node.create(&set).await?;
    let merged = node.create(&[]).await?;
    for one in &set {
        node.merge(&merged, &[*one]).await?;
    }
    for key in [created, merged] {
        let attributes = node.load_live(&key).await?.record.attributes.clone();
        let wrong: Vec<&String> = expected
            .iter()
            .filter(|(name, value)| attributes.get(*name) != Some(value))
            .map(|pair| pair.0)
            .collect();
        require!(wrong.is_empty(), "these names did not keep their values: {wrong:?}");
        require!(attributes.len() == expected.len(), "names appeared that nobody wrote");
    }
    for name in names {
        let mut removal = node.write(On::Live, &[]);
        removal.delta.remove(name);
        saved(&node.save(&created, &removal).await?, "a removal of an odd name")?;
        let attributes = node.load_live(&created).await?.record.attributes.clone();
        require!(!attributes.contains_key(name), "{name:?} cannot be removed");
    }
    let left = node.load_live(&created).await?.record.attributes.len();
    require!(left == 0, "{left} attributes are left after each was removed");
    Ok(())
}

async fn a_small_value_after_a_large_one_has_no_tail(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let large = trial.bytes(200 * 1024);
    let key = node.create(&[("a", &large), ("b", b"kept")]).await?;
    node.merge(&key, &[("a", b"ten bytes!")]).await?;
    let attributes = node.load_live(&key).await?.record.attributes.clone();
    let length = attributes["a"].len();
    require!(attributes["a"] == b"ten bytes!"[..], "a value of 10 bytes came back with {length}");
    require!(attributes["b"] == b"kept"[..], "the attribute beside it changed");
    Ok(())
}
