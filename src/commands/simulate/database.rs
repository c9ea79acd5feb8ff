//! A Redis database for the simulation alone: its keys must not mix with those of a deployment.

use redis::{Client, RedisError};
use sms_store::{Store, StoreError};

/// A database that was empty when the simulation began.
pub struct Database {
    url: String,
    client: Client,
}

/// A database cannot be used for the simulation.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(
        "the database of --redis has {0} keys: use an empty one, such as \
         redis://127.0.0.1:6379/15"
    )]
    NotEmpty(u64),
    #[error("the database of --redis cannot be used")]
    Redis(#[from] RedisError),
    #[error("the database of --redis cannot be used")]
    Store(#[from] StoreError),
}

impl Database {
    pub async fn connect(url: &str) -> Result<Self, DatabaseError> {
        let client = Client::open(url)?;
        let keys = redis::cmd("DBSIZE")
            .query_async(&mut client.get_multiplexed_async_connection().await?)
            .await?;
        if keys > 0 {
            Err(DatabaseError::NotEmpty(keys))
        } else {
            Ok(Self { url: url.to_owned(), client })
        }
    }

    pub fn store(&self) -> Result<Store, DatabaseError> {
        Ok(Store::redis(&self.url, super::policy())?)
    }

    /// Deletes all keys, which are those of the simulation.
    pub async fn empty(&self) -> Result<(), DatabaseError> {
        let mut connection = self.client.get_multiplexed_async_connection().await?;
        Ok(redis::cmd("FLUSHDB").query_async(&mut connection).await?)
    }
}
