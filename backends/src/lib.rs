//! Stores for Holdover, one feature each: a URL names the store and its settings.
//!
//! | scheme | feature | store |
//! |---|---|---|
//! | `dynamodb` | `dynamodb`, and `dynamodb-local` for the embedded one | one table of Amazon DynamoDB |
//! | `memory` | always there | this process's memory: [`Memory`](holdover_api::Memory) |
//! | `memcached`, `memcached+unix` | `memcached` | one Memcached server |
//! | `mongodb`, `mongodb+srv` | `mongodb` | a MongoDB server, replica set or sharded cluster |
//! | `redis`, `rediss`, `redis+unix` | `redis` | one Redis or Valkey server |
//! | `redis+sentinel`, `rediss+sentinel` | `redis` | the master that sentinels name |
//! | `redis+cluster`, `rediss+cluster` | `redis` | a cluster |
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store = holdover_backends::connect("memory:?max_sessions=1000").await?;
//! assert_eq!(store.to_string(), "memory");
//! # Ok::<(), holdover_api::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "dynamodb")]
pub mod dynamodb;
#[cfg(any(feature = "dynamodb", feature = "memcached", feature = "redis"))]
mod host;
#[cfg(feature = "memcached")]
pub mod memcached;
#[cfg(feature = "mongodb")]
pub mod mongodb;
mod parameters;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "dynamodb", feature = "memcached", feature = "mongodb", feature = "redis"))]
mod row;
mod url;

pub use url::{connect, connect_with_clock};
