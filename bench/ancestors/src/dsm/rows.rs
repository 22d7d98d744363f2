//! What the stand-in asks of DynamoDB.

use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableStatus,
};

use crate::job::Failure;

const ID: &str = "id";
const DATA: &str = "data";
const USED: &str = "lastAccessed";

/// A session as it is stored.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) data: Option<Vec<u8>>,
    /// When it was used last, in milliseconds.
    pub(super) used: u64,
}

/// What DynamoDB has refused, or has not answered.
#[derive(Debug)]
pub(super) struct Refused {
    /// There is no such table, or it is not ready.
    pub(super) is_missing: bool,
    code: String,
}

impl Refused {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or("no answer");
        Self { is_missing: code == "ResourceNotFoundException", code: code.to_owned() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dynamodb refused a request: {}", self.code)
    }
}

impl std::error::Error for Refused {}

#[derive(Clone, Debug)]
pub(super) struct Rows(Client);

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn moment(millis: u64) -> AttributeValue {
    AttributeValue::N(millis.to_string())
}

impl Rows {
    pub(super) fn at(endpoint: &str) -> Self {
        let settings = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new("test", "test", None, None, "stand-in"))
            .region(Region::from_static("us-east-1"))
            .endpoint_url(endpoint)
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        Self(Client::from_conf(settings.build()))
    }

    pub(super) async fn get(&self, table: &str, id: &str) -> Result<Option<Row>, Refused> {
        let request = self.0.get_item().table_name(table).key(ID, text(id)).consistent_read(true);
        let answer = request.send().await.map_err(|error| Refused::of(&error))?;
        Ok(answer.item.map(|item| {
            let data = item.get(DATA).and_then(|data| data.as_b().ok());
            let used = item.get(USED).and_then(|used| used.as_n().ok()?.parse().ok());
            Row { data: data.map(|data| data.as_ref().to_vec()), used: used.unwrap_or(u64::MAX) }
        }))
    }

    pub(super) async fn put(&self, table: &str, id: &str, data: Vec<u8>, used: u64) -> Result<(), Refused> {
        let request = self.0.put_item().table_name(table).item(ID, text(id)).item(USED, moment(used));
        let request = request.item(DATA, AttributeValue::B(Blob::new(data)));
        request.send().await.map_err(|error| Refused::of(&error))?;
        Ok(())
    }

    /// Creates what is not there.
    pub(super) async fn update(
        &self,
        table: &str,
        id: &str,
        data: Option<Vec<u8>>,
        used: u64,
    ) -> Result<(), Refused> {
        let request = self.0.update_item().table_name(table).key(ID, text(id));
        let request = request.expression_attribute_values(":used", moment(used));
        let request = match data {
            Some(data) => request
                .update_expression("SET lastAccessed = :used, #data = :data")
                .expression_attribute_names("#data", DATA)
                .expression_attribute_values(":data", AttributeValue::B(Blob::new(data))),
            None => request.update_expression("SET lastAccessed = :used"),
        };
        request.send().await.map_err(|error| Refused::of(&error))?;
        Ok(())
    }

    pub(super) async fn delete(&self, table: &str, id: &str) -> Result<(), Refused> {
        let request = self.0.delete_item().table_name(table).key(ID, text(id));
        request.send().await.map_err(|error| Refused::of(&error))?;
        Ok(())
    }

    /// The first page.
    pub(super) async fn list(&self) -> Result<Vec<String>, Refused> {
        let answer = self.0.list_tables().send().await.map_err(|error| Refused::of(&error))?;
        Ok(answer.table_names.unwrap_or_default())
    }

    pub(super) async fn create(&self, table: &str) -> Result<(), Failure> {
        let key = AttributeDefinition::builder().attribute_name(ID).attribute_type(ScalarAttributeType::S);
        let schema = KeySchemaElement::builder().attribute_name(ID).key_type(KeyType::Hash);
        let request = self.0.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
        let request = request.attribute_definitions(key.build()?).key_schema(schema.build()?);
        request.send().await.map_err(|error| Refused::of(&error))?;
        Ok(())
    }

    pub(super) async fn is_active(&self, table: &str) -> bool {
        let answer = self.0.describe_table().table_name(table).send().await;
        let described = answer.ok().and_then(|answer| answer.table);
        described.is_some_and(|table| table.table_status == Some(TableStatus::Active))
    }

    pub(super) async fn drop_table(&self, table: &str) {
        let _ = self.0.delete_table().table_name(table).send().await;
    }
}
