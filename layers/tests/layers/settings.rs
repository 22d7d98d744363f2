use std::fmt::Debug;
use std::time::Duration;

use holdover_layers::{Faults, Metrics, Retry, Timeout, Trace};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

fn reads_back<T>(settings: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let text = serde_json::to_string(settings).unwrap();
    let read: T = serde_json::from_str(&text).unwrap();
    assert_eq!(read, *settings, "{text}");
}

/// Nothing given is the default, and a name that is not known is refused.
fn is_strict<'de, T>()
where
    T: Deserialize<'de> + Default + PartialEq + Debug,
{
    assert_eq!(serde_json::from_str::<T>("{}").unwrap(), T::default());
    let error = serde_json::from_str::<T>(r#"{"dead_line": "1s"}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `dead_line`"), "{error}");
}

#[test]
fn settings_are_text_that_reads_back() {
    reads_back(&Retry { deadline: Duration::from_millis(1_250), budget_share: 0.3, ..Retry::default() });
    reads_back(&Timeout { limit: Duration::from_micros(1_500) });
    reads_back(&Metrics { store: Some("sessions".to_owned()) });
    reads_back(&Metrics::default());
    reads_back(&Trace {});
    reads_back(&Faults { seed: 3, share_unheard: 0.5, delay: Duration::from_secs(1), ..Faults::default() });
    let text = serde_json::to_string(&Timeout { limit: Duration::from_millis(250) }).unwrap();
    assert_eq!(text, r#"{"limit":"250ms"}"#);
    is_strict::<Retry>();
    is_strict::<Timeout>();
    is_strict::<Metrics>();
    is_strict::<Trace>();
    is_strict::<Faults>();
}

#[cfg(feature = "near-cache")]
#[test]
fn the_near_caches_settings_are_text_that_reads_back() {
    use holdover_layers::NearCache;

    reads_back(&NearCache { max_age: Duration::from_millis(1), max_bytes: 7 });
    is_strict::<NearCache>();
    assert!(serde_json::from_str::<NearCache>(r#"{"max_age": "0s"}"#).is_err());
}

#[test]
fn settings_that_cannot_work_are_refused_with_what_is_expected() {
    let refused = |text| serde_json::from_str::<Retry>(text).unwrap_err().to_string();
    assert!(refused(r#"{"deadline": "0s"}"#).contains("a time above zero, such as 250ms or 2s"));
    assert!(refused(r#"{"deadline": "fast"}"#).contains("a time with its unit, such as 250ms or 2s"));
    assert!(refused(r#"{"budget_share": 1.5}"#).contains("a share, from 0 to 1"));
    assert!(serde_json::from_str::<Timeout>(r#"{"limit": "0ms"}"#).is_err());
    assert!(serde_json::from_str::<Faults>(r#"{"share_unheard": -0.1}"#).is_err());
}
