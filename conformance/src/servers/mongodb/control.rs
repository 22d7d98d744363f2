//! What the suite does to a set.

use std::sync::Arc;

use async_trait::async_trait;

use super::set::MongodbSet;
use crate::harness::{ServerControl, SetControl};
use crate::servers::process::Server;

impl MongodbSet {
    async fn primary_server(&self) -> Result<&Arc<Server>, String> {
        Ok(&self.members()[self.primary().await?])
    }

    async fn replicas(&self) -> Result<Vec<usize>, String> {
        let primary = self.primary().await?;
        Ok((0..self.members().len()).filter(|member| *member != primary).collect())
    }
}

#[async_trait]
impl SetControl for MongodbSet {
    async fn step_down(&self) -> Result<(), String> {
        Self::step_down(self).await.map(drop)
    }

    async fn kill_primary(&self) -> Result<(), String> {
        self.primary_server().await?.kill().await
    }

    async fn pause_primary(&self) -> Result<(), String> {
        self.primary_server().await?.pause().await
    }

    async fn keep_primary_unaware(&self) -> Result<(), String> {
        let primary = self.primary().await?;
        self.keep_from_stepping_down(primary).await
    }

    async fn elected(&self) -> Result<(), String> {
        self.primary().await.map(drop)
    }

    async fn resume(&self) -> Result<(), String> {
        for member in self.members().iter().filter(|member| member.process_id().is_some()) {
            member.resume().await?;
        }
        Ok(())
    }

    async fn hold_a_replica(&self) -> Result<(), String> {
        let replicas = self.replicas().await?;
        let held = replicas.first().ok_or("hold a replica: the set has one member")?;
        self.hold_replication(*held).await
    }

    async fn hold_replicas(&self) -> Result<(), String> {
        for replica in self.replicas().await? {
            self.hold_replication(replica).await?;
        }
        Ok(())
    }

    async fn release_replicas(&self) -> Result<(), String> {
        for (number, member) in self.members().iter().enumerate() {
            if member.process_id().is_some() {
                self.release_replication(number).await?;
            }
        }
        Ok(())
    }

    async fn restore(&self) -> Result<(), String> {
        SetControl::resume(self).await?;
        for member in self.members().iter().filter(|member| member.process_id().is_none()) {
            member.restart().await?;
        }
        self.release_replicas().await?;
        for number in 0..self.members().len() {
            self.let_step_down(number).await?;
        }
        self.primary().await?;
        self.until_replicated().await
    }
}
