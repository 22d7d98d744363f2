//! Many writers of one session at once.

use std::sync::Arc;

use holdover_api::{Loaded, On, SaveAnswer, SessionKey, SessionStore};

use super::write;

/// Sixty writers merge an attribute each into it, all at once and all on what was loaded before, if anything was:
/// each is taken.
pub(crate) async fn sixty_merges(store: &Arc<dyn SessionStore>, key: SessionKey, base: &Option<Loaded>) {
    let mut writers = Vec::new();
    for number in 0..60_u8 {
        let (store, mut write) = (Arc::clone(store), write(On::Live, &format!("w{number}"), number + 10));
        write.base.clone_from(base);
        writers.push(tokio::spawn(async move { store.save(&key, &write).await }));
    }
    for writer in writers {
        assert!(matches!(writer.await.unwrap(), Ok(SaveAnswer::Saved { .. })));
    }
}
