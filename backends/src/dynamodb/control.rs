//! The keeper's hands: lists, describes, creates and drops tables, and asks for the server's time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_sdk_dynamodb::types::{TableDescription, TableStatus};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use holdover_api::{Operation, Timestamp};
use holdover_rotation::{
    ControlError, ControlPlane, Created, Description, Dropped, Generation, Names, Page, ServerTime,
    TableState,
};

use super::capacity::Capacity;
use super::client::about_tables;
use super::config::Billing;
use super::error::Failure;
use super::prepare::creation;

/// A server's time comes in whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

/// The tables of one account and region, for the keeper.
pub(super) struct Control {
    pub(super) client: Client,
    pub(super) names: Names,
    pub(super) billing: Billing,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("billing", &self.billing).finish_non_exhaustive()
    }
}

impl Control {
    /// What the table of this name will be paid for.
    async fn capacity(&self, name: &str) -> Result<Capacity, ControlError> {
        let before = match self.billing {
            Billing::Inherited => self.newest_before(name).await?,
            Billing::OnDemand | Billing::Provisioned { .. } => None,
        };
        let Some(before) = before else { return Ok(self.billing.stated()) };
        let table = self.described(&self.names.name(before)).await?;
        // It went while it was looked for: so did whatever an operator had set.
        Ok(table.map_or_else(|| self.billing.stated(), |table| Capacity::of_table(&table)))
    }

    async fn newest_before(&self, name: &str) -> Result<Option<Generation>, ControlError> {
        let new = self.names.generation(name);
        let mut newest = None;
        let mut after: Option<String> = None;
        loop {
            let page = self.list(after.as_deref()).await?;
            let older = page.names.iter().filter_map(|name| self.names.generation(name));
            newest = newest.max(older.filter(|table| Some(*table) < new).max());
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(newest),
            }
        }
    }

    async fn described(&self, name: &str) -> Result<Option<TableDescription>, ControlError> {
        let request = self.client.describe_table().table_name(name);
        match Box::pin(request.customize().config_override(about_tables()).send()).await {
            Ok(answer) => Ok(answer.table),
            Err(error) => {
                let failure = Failure::of(&error);
                match failure.code() {
                    Some("ResourceNotFoundException") => Ok(None),
                    _ => Err(failed(failure)),
                }
            }
        }
    }
}

fn failed(failure: Failure) -> ControlError {
    let error = failure.into_error(Operation::Connect);
    let mapped = ControlError::new(error.kind(), error.message().to_owned());
    match error.suggested_delay() {
        Some(delay) => mapped.retry_after(delay),
        None => mapped,
    }
}

#[async_trait]
impl ControlPlane for Control {
    async fn list(&self, after: Option<&str>) -> Result<Page, ControlError> {
        let request = self.client.list_tables().set_exclusive_start_table_name(after.map(str::to_owned));
        let answer = Box::pin(request.customize().config_override(about_tables()).send()).await;
        let answer = answer.map_err(|error| failed(Failure::of(&error)))?;
        Ok(Page { names: answer.table_names.unwrap_or_default(), next: answer.last_evaluated_table_name })
    }

    async fn describe(&self, name: &str) -> Result<Option<Description>, ControlError> {
        Ok(self.described(name).await?.map(|table| {
            let created = table.creation_date_time().map(timestamp).unwrap_or_default();
            Description { state: state(table.table_status()), created }
        }))
    }

    async fn create(&self, name: &str) -> Result<Created, ControlError> {
        let capacity = self.capacity(name).await?;
        let request = creation(&self.client, name, capacity).map_err(failed)?;
        match Box::pin(request.customize().config_override(about_tables()).send()).await {
            Ok(_) => Ok(Created::Begun),
            Err(error) => {
                let failure = Failure::of(&error);
                match failure.code() {
                    Some("ResourceInUseException") => Ok(Created::WasThere),
                    _ => Err(failed(failure)),
                }
            }
        }
    }

    async fn drop_table(&self, name: &str) -> Result<Dropped, ControlError> {
        let request = self.client.delete_table().table_name(name);
        match Box::pin(request.customize().config_override(about_tables()).send()).await {
            Ok(_) => Ok(Dropped::Begun),
            Err(error) => {
                let failure = Failure::of(&error);
                match failure.code() {
                    Some("ResourceNotFoundException") => Ok(Dropped::WasGone),
                    Some("ResourceInUseException") => Ok(Dropped::Busy),
                    _ => Err(failed(failure)),
                }
            }
        }
    }

    async fn time(&self) -> Result<Option<ServerTime>, ControlError> {
        let date = Arc::new(Mutex::new(None));
        let request = self.client.list_tables().limit(1).customize().config_override(about_tables());
        let answer = Box::pin(request.interceptor(DateOf(Arc::clone(&date))).send()).await;
        answer.map_err(|error| failed(Failure::of(&error)))?;
        let at = date.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(at.map(|at| ServerTime { at, resolution: RESOLUTION }))
    }
}

/// Everything that is not on its way in counts as there for as long as it is listed.
fn state(status: Option<&TableStatus>) -> TableState {
    match status {
        Some(TableStatus::Creating) => TableState::Creating,
        Some(TableStatus::Deleting) => TableState::Dropping,
        _ => TableState::Active,
    }
}

fn timestamp(date: &DateTime) -> Timestamp {
    let millis = date.to_millis().ok().and_then(|millis| u64::try_from(millis).ok());
    Timestamp::from_millis(millis.unwrap_or_default())
}

/// Takes down the date that an answer carries.
#[derive(Debug)]
struct DateOf(Arc<Mutex<Option<Timestamp>>>);

#[dyn_dispatch_hint]
impl Intercept for DateOf {
    fn name(&self) -> &'static str {
        "DateOf"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = context.response().headers().get("date");
        let date = header.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date.as_ref().map(timestamp);
        Ok(())
    }
}
