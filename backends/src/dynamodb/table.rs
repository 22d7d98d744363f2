//! One table: the four requests that sessions need, each of which reports what it consumed.
//!
//! The SDK's futures are large: they are boxed here, so that those around them are not.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};

use super::consumed::Meter;
use super::error::Failure;
use super::layout::{Item, KEY};
use super::statement::Statement;

/// A table under a name.
#[derive(Clone)]
pub(super) struct Table {
    client: Client,
    name: String,
    meter: Arc<Meter>,
}

/// What the answer to an update says of the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// Nothing.
    Nothing,
    /// What the changed attributes were.
    Old,
    /// All of it as it is now.
    Whole,
}

/// The answer to a conditional change.
#[derive(Debug)]
pub(super) enum Answer {
    /// Done; with what was asked for of the item.
    Done(Option<Item>),
    /// The condition did not hold; with what is there, if the server says so.
    Refused(Option<Item>),
}

impl Table {
    pub(super) fn new(client: Client, name: String, meter: Arc<Meter>) -> Self {
        Self { client, name, meter }
    }

    fn named(key: &str) -> AttributeValue {
        AttributeValue::S(key.to_owned())
    }

    /// Reads what is under a key; at half the price if it need not be the latest.
    pub(super) async fn get(&self, key: &str, latest: bool) -> Result<Option<Item>, Failure> {
        let request = self
            .client
            .get_item()
            .table_name(&self.name)
            .key(KEY, Self::named(key))
            .consistent_read(latest)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(request.send()).await.map_err(|error| {
            self.meter.refused();
            Failure::of(&error).of_a_read()
        })?;
        self.meter.read(answer.consumed_capacity());
        Ok(answer.item)
    }

    /// Puts a whole item, if the statement's condition holds.
    pub(super) async fn put(&self, item: Item, statement: Statement) -> Result<Answer, Failure> {
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(statement.condition)
            .set_expression_attribute_names(Some(statement.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(statement.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match Box::pin(request.send()).await {
            Ok(answer) => {
                self.meter.written(answer.consumed_capacity());
                Ok(Answer::Done(None))
            }
            Err(error) => {
                let is_refusal = PutItemError::is_conditional_check_failed_exception;
                self.not_done(error, is_refusal, |refusal| match refusal {
                    PutItemError::ConditionalCheckFailedException(failed) => failed.item,
                    _ => None,
                })
            }
        }
    }

    /// Makes the statement's change, if its condition holds.
    pub(super) async fn update(
        &self,
        key: &str,
        statement: Statement,
        replaced: Replaced,
    ) -> Result<Answer, Failure> {
        let names = Some(statement.names).filter(|names| !names.is_empty());
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .key(KEY, Self::named(key))
            .update_expression(statement.update)
            .condition_expression(statement.condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(Some(statement.values))
            .return_values(match replaced {
                Replaced::Nothing => ReturnValue::None,
                Replaced::Old => ReturnValue::UpdatedOld,
                Replaced::Whole => ReturnValue::AllNew,
            })
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match Box::pin(request.send()).await {
            Ok(answer) => {
                self.meter.written(answer.consumed_capacity());
                Ok(Answer::Done(answer.attributes))
            }
            Err(error) => {
                let is_refusal = UpdateItemError::is_conditional_check_failed_exception;
                self.not_done(error, is_refusal, |refusal| match refusal {
                    UpdateItemError::ConditionalCheckFailedException(failed) => failed.item,
                    _ => None,
                })
            }
        }
    }

    /// What came of a change that was not made: its condition did not hold, or it failed.
    fn not_done<E>(
        &self,
        error: SdkError<E, HttpResponse>,
        is_refusal: impl Fn(&E) -> bool,
        what_is_there: impl FnOnce(E) -> Option<Item>,
    ) -> Result<Answer, Failure>
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        self.meter.refused();
        match error {
            SdkError::ServiceError(refusal) if is_refusal(refusal.err()) => {
                Ok(Answer::Refused(what_is_there(refusal.into_err())))
            }
            other => Err(Failure::of(&other)),
        }
    }

    #[cfg(feature = "dynamodb-local")]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A page of everything, and where the next one begins. Not for sessions: nothing adds up what it consumes.
    #[cfg(feature = "dynamodb-local")]
    pub(super) async fn items(&self, after: Option<Item>) -> Result<(Vec<Item>, Option<Item>), Failure> {
        let request = self.client.scan().table_name(&self.name).set_exclusive_start_key(after);
        let answer = Box::pin(request.send()).await.map_err(|error| Failure::of(&error).of_a_read())?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }

    /// Removes what is under a key, whatever it is.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Failure> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key(KEY, Self::named(key))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(request.send()).await.map_err(|error| {
            self.meter.refused();
            Failure::of(&error)
        })?;
        self.meter.written(answer.consumed_capacity());
        Ok(())
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}
