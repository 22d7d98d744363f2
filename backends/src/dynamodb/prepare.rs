//! Before the first session: the table is there, has the right key, is ready, and expires what it should.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription, TableStatus,
    TimeToLiveDescription, TimeToLiveSpecification, TimeToLiveStatus,
};
use holdover_api::{Error, ErrorKind, Operation, pause, within};

use super::NAME;
use super::capacity::Capacity;
use super::client::about_tables;
use super::config::{Config, ExpiryBy};
use super::error::{Cause, Failure};
use super::layout::{KEY, REMOVE_AFTER};
use crate::parameters::misconfigured;

const LOOK_AGAIN_FIRST: Duration = Duration::from_millis(20);
const LOOK_AGAIN_AT_MOST: Duration = Duration::from_secs(2);

/// What is done before the store is handed out.
pub(super) struct Preparation<'a> {
    pub(super) client: &'a Client,
    pub(super) config: &'a Config,
}

impl Preparation<'_> {
    /// Creates what is missing, or says what it is, and waits until the table is ready.
    pub(super) async fn run(&self) -> Result<(), Error> {
        let limit = self.config.prepare_timeout;
        within(limit, self.prepare()).await.unwrap_or_else(|| {
            let message = "the table was not ready in time; look at its state, and at prepare_timeout";
            Err(Error::new(ErrorKind::Unavailable, Operation::Connect, NAME, message))
        })
    }

    async fn prepare(&self) -> Result<(), Error> {
        let mut delay = LOOK_AGAIN_FIRST;
        loop {
            match self.describe().await? {
                None => self.create().await?,
                Some(table) if is_ready(&table)? => break,
                Some(_) => {}
            }
            pause(delay).await;
            delay = (delay * 2).min(LOOK_AGAIN_AT_MOST);
        }
        match self.config.expiry {
            ExpiryBy::TimeToLive => self.expire().await,
            ExpiryBy::Nobody | ExpiryBy::Rotation(_) => Ok(()),
        }
    }

    /// The table, if it is there. One that was just created may not be, for a moment.
    async fn describe(&self) -> Result<Option<TableDescription>, Error> {
        let request = self.client.describe_table().table_name(&self.config.table);
        match Box::pin(request.customize().config_override(about_tables()).send()).await {
            Ok(answer) => Ok(answer.table),
            Err(error) => {
                let failure = Failure::of(&error).of_a_read();
                match failure.code() {
                    Some("ResourceNotFoundException") => Ok(None),
                    _ => Err(failure.into_error(Operation::Connect)),
                }
            }
        }
    }

    async fn create(&self) -> Result<(), Error> {
        if !self.config.create {
            return Err(misconfigured(
                NAME,
                "the table is missing; create it as the backend's readme says, or add create=true to the url",
            ));
        }
        let request = creation(self.client, &self.config.table, self.config.billing.stated())
            .map_err(|failure| failure.into_error(Operation::Connect))?;
        match Box::pin(request.customize().config_override(about_tables()).send()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = Failure::of(&error);
                match failure.code() {
                    // Another node was faster, or an attempt whose answer was lost.
                    Some("ResourceInUseException") => Ok(()),
                    _ => Err(failure.into_error(Operation::Connect)),
                }
            }
        }
    }

    /// The time to live is on, by the right attribute. It counts as on while it is being turned on.
    async fn expire(&self) -> Result<(), Error> {
        let mut delay = LOOK_AGAIN_FIRST;
        let mut asked = false;
        loop {
            match standing(self.time_to_live().await?.as_ref()) {
                TimeToLive::On => return Ok(()),
                TimeToLive::Elsewhere => return Err(wrong_time_to_live()),
                TimeToLive::Off if !self.config.create => {
                    return Err(misconfigured(
                        NAME,
                        "the table's time to live is not enabled on the attribute x; enable it, or add create=true \
                         to the url",
                    ));
                }
                TimeToLive::Off if !asked => {
                    self.turn_on().await?;
                    asked = true;
                }
                TimeToLive::Off | TimeToLive::Changing => {
                    pause(delay).await;
                    delay = (delay * 2).min(LOOK_AGAIN_AT_MOST);
                }
            }
        }
    }

    async fn time_to_live(&self) -> Result<Option<TimeToLiveDescription>, Error> {
        let request = self.client.describe_time_to_live().table_name(&self.config.table);
        let answer = Box::pin(request.customize().config_override(about_tables()).send()).await;
        let answer =
            answer.map_err(|error| Failure::of(&error).of_a_read().into_error(Operation::Connect))?;
        Ok(answer.time_to_live_description)
    }

    async fn turn_on(&self) -> Result<(), Error> {
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(REMOVE_AFTER)
            .enabled(true)
            .build()
            .map_err(|_| Failure::unsent(Cause::Unmade).into_error(Operation::Connect))?;
        let request = self
            .client
            .update_time_to_live()
            .table_name(&self.config.table)
            .time_to_live_specification(specification);
        match Box::pin(request.customize().config_override(about_tables()).send()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = Failure::of(&error);
                match failure.code() {
                    // Another node was faster: what it did is looked at next.
                    Some("ValidationException" | "ResourceInUseException") => Ok(()),
                    _ => Err(failure.into_error(Operation::Connect)),
                }
            }
        }
    }
}

/// A request for a table as sessions have it.
pub(super) fn creation(
    client: &Client,
    name: &str,
    capacity: Capacity,
) -> Result<CreateTableFluentBuilder, Failure> {
    let key = AttributeDefinition::builder()
        .attribute_name(KEY)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .map_err(|_| Failure::unsent(Cause::Unmade))?;
    let schema = KeySchemaElement::builder()
        .attribute_name(KEY)
        .key_type(KeyType::Hash)
        .build()
        .map_err(|_| Failure::unsent(Cause::Unmade))?;
    let request = client.create_table().table_name(name).attribute_definitions(key).key_schema(schema);
    capacity.ask(request)
}

/// What the table says of its time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeToLive {
    On,
    Off,
    Changing,
    Elsewhere,
}

fn standing(description: Option<&TimeToLiveDescription>) -> TimeToLive {
    let status = description.and_then(TimeToLiveDescription::time_to_live_status);
    let attribute = description.and_then(TimeToLiveDescription::attribute_name);
    match status {
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) if attribute == Some(REMOVE_AFTER) => {
            TimeToLive::On
        }
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => TimeToLive::Elsewhere,
        Some(TimeToLiveStatus::Disabling) => TimeToLive::Changing,
        _ => TimeToLive::Off,
    }
}

/// Whether the table takes requests. One with another key is refused, and so is one that is on its way out.
fn is_ready(table: &TableDescription) -> Result<bool, Error> {
    let key = table.key_schema();
    let is_ours = key.len() == 1 && key[0].attribute_name() == KEY && *key[0].key_type() == KeyType::Hash;
    let is_text = table.attribute_definitions().iter().any(|attribute| {
        attribute.attribute_name() == KEY && *attribute.attribute_type() == ScalarAttributeType::S
    });
    if !is_ours || !is_text {
        return Err(misconfigured(
            NAME,
            "the table's key is not the one that sessions have: a partition key k of type string, and no sort key",
        ));
    }
    match table.table_status() {
        Some(TableStatus::Active | TableStatus::Updating) => Ok(true),
        Some(TableStatus::Creating | TableStatus::Deleting) | None => Ok(false),
        Some(_) => {
            let message =
                "the table is not in order (archived, or its key cannot be used); look at its state";
            Err(Error::new(ErrorKind::Unavailable, Operation::Connect, NAME, message).without_effect())
        }
    }
}

fn wrong_time_to_live() -> Error {
    misconfigured(
        NAME,
        "the table's time to live is on another attribute than x; give sessions a table of their own",
    )
}
