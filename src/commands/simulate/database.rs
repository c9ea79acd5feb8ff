//! A Redis database for the simulation alone: its keys must not meet those of a product.

use redis::{Client, RedisError};
use sms_store::{Store, StoreError};

/// A database that was empty when the simulation began.
pub struct Database {
    url: String,
    client: Client,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(
        "the database of --redis holds {0} keys: name an empty one, such as redis://127.0.0.1:6379/15"
    )]
    NotEmpty(u64),
    #[error("the database of --redis cannot be used")]
    Redis(#[from] RedisError),
    #[error("the database of --redis cannot be used")]
    Store(#[from] StoreError),
}

impl Database {
    pub async fn of_its_own(url: &str) -> Result<Self, DatabaseError> {
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

    /// Deletes what the simulation has written, which is all there is.
    pub async fn empty(&self) -> Result<(), DatabaseError> {
        let mut connection = self.client.get_multiplexed_async_connection().await?;
        Ok(redis::cmd("FLUSHDB").query_async(&mut connection).await?)
    }
}
