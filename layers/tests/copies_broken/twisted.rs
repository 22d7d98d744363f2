//! Sound pairs with something around them, or around their servers, that spoils them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Clock, Error, Freshness, InstallAnswer, Loaded, SaveAnswer, SessionKey, SessionStore,
    SessionStoreExt, Standing, Stored, Timestamp, Write, pause,
};
use holdover_conformance::{Copies, Noticed, Seated};
use holdover_layers::failover::FailoverSettings;
use tokio::sync::Mutex;

use crate::Broken;
use crate::rig::Pairs;
use crate::rig::stores::{Members, pair, settings};

pub(crate) fn all() -> Vec<Broken> {
    vec![
        Broken {
            id: "hides",
            defect: "a failure is told as an absence, and a failed create as done",
            harness: Pairs::over("hides", Copies::PAIR, |members, clock| {
                around(members, clock, &Habit::Hides)
            }),
            killed_by: &["FAIL-43", "FAIL-51", "FAIL-58"],
        },
        Broken {
            id: "in-turn",
            defect: "the copies are asked one after the other",
            harness: Pairs::over("in turn", Copies::PAIR, |members, clock| {
                let turn = Arc::new(Mutex::new(()));
                pair(each(members, &Habit::InTurn(turn)), clock, settings())
            }),
            killed_by: &["FAIL-54"],
        },
        Broken {
            id: "asks-twice",
            defect: "each look is made sure of by another one",
            harness: Pairs::over("asks twice", Copies::PAIR, |members, clock| {
                pair(each(members, &Habit::AsksTwice), clock, settings())
            }),
            killed_by: &["FAIL-54", "FAIL-55"],
        },
        Broken {
            id: "chatty",
            defect: "servers are asked in the background whether they are there",
            harness: Pairs::over("chatty", Copies::PAIR, |members, clock| {
                pair(each(members, &Habit::Chatters), clock, settings())
            }),
            killed_by: &["FAIL-55"],
        },
        Broken {
            id: "touches-each",
            defect: "a touch extends each copy by itself, so that whoever writes one of them does not learn of it",
            harness: Pairs::over("touches each", Copies::PAIR, |members, clock| {
                let each = members.iter().map(|(_, store)| Arc::clone(store)).collect();
                around(members, clock, &Habit::TouchesEach(each))
            }),
            killed_by: &["FAIL-60"],
        },
        Broken {
            id: "endless",
            defect: "a server is asked until it answers",
            harness: Pairs::over("endless", Copies::PAIR, |members, clock| {
                let settings = FailoverSettings { node_timeout: A_LONG_TIME, ..settings() };
                pair(each(members, &Habit::Persists), clock, settings)
            }),
            killed_by: &["FAIL-51"],
        },
        Broken {
            id: "uncounted",
            defect: "what is lost is not counted",
            harness: Pairs::over("uncounted", Copies::PAIR, |members, clock| {
                let sound = pair(members, clock, settings());
                Seated { noticed: Arc::new(Noticed::default), ..sound }
            }),
            killed_by: &["FAIL-16", "FAIL-19"],
        },
    ]
}

/// What a store does besides what the one inside does.
#[derive(Clone, Debug)]
enum Habit {
    Hides,
    /// Waits until nobody else who shares this is asking.
    InTurn(Arc<Mutex<()>>),
    AsksTwice,
    Chatters,
    /// Asks again until there is an answer.
    Persists,
    /// Touches these, one by one.
    TouchesEach(Vec<Arc<dyn SessionStore>>),
}

fn around(members: Members, clock: Arc<dyn Clock>, habit: &Habit) -> Seated {
    let sound = pair(members, clock, settings());
    Seated { store: Twisted::around(sound.store, habit), noticed: sound.noticed }
}

fn each(members: Members, habit: &Habit) -> Members {
    members.into_iter().map(|(server, store)| (server, Twisted::around(store, habit))).collect()
}

#[derive(Debug)]
struct Twisted {
    inner: Arc<dyn SessionStore>,
    habit: Habit,
}

const A_LONG_TIME: Duration = Duration::from_secs(3600);
const CHATTER: Duration = Duration::from_millis(20);

impl Twisted {
    fn around(inner: Arc<dyn SessionStore>, habit: &Habit) -> Arc<dyn SessionStore> {
        let twisted = Arc::new(Self { inner, habit: habit.clone() });
        if matches!(habit, Habit::Chatters) {
            let told = Arc::downgrade(&twisted);
            tokio::spawn(async move {
                while let Some(twisted) = told.upgrade() {
                    let _ = twisted.inner.inspect(&SessionKey::from_bytes([1; 32])).await;
                    pause(CHATTER).await;
                }
            });
        }
        twisted
    }

    const fn hides(&self) -> bool {
        matches!(self.habit, Habit::Hides)
    }
}

impl fmt::Display for Twisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("twisted")
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Twisted {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let loaded = self.inner.load(key, freshness).await;
        if self.hides() { Ok(loaded.unwrap_or_default()) } else { loaded }
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let saved = self.inner.save(key, write).await;
        if self.hides() { Ok(saved.unwrap_or(SaveAnswer::Saved { previous: None })) } else { saved }
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let Habit::TouchesEach(each) = &self.habit else {
            return self.inner.touch(key, deadline).await;
        };
        let mut last = Ok(false);
        for copy in each {
            match copy.touch(key, deadline).await {
                Err(_) if matches!(last, Ok(true)) => {}
                touched => last = touched,
            }
        }
        last
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.inner.delete(key).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        match &self.habit {
            Habit::InTurn(turn) => {
                let _turn = turn.lock().await;
                return self.inner.inspect(key).await;
            }
            Habit::AsksTwice => {
                self.inner.load_latest(key).await?;
            }
            Habit::Persists => loop {
                if let Ok(stored) = self.inner.inspect(key).await {
                    return Ok(stored);
                }
                pause(CHATTER).await;
            },
            Habit::Hides | Habit::Chatters | Habit::TouchesEach(_) => {}
        }
        self.inner.inspect(key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.inner.install(key, over, new).await
    }
}
