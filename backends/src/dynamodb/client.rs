//! The client of DynamoDB: its transport, its time limits, its credentials.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, Region, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use holdover_api::{Clock, Error};

use super::config::{Config, Login, Place};

/// The SDK changes its defaults between such versions; everything that matters here is set all the same.
const DEFAULTS: fn() -> BehaviorVersion = BehaviorVersion::v2026_01_12;

/// One request about a table, not about a session, may take so long.
const ABOUT_TABLES: Duration = Duration::from_secs(10);

/// Attempts of one request about a table: all of them may be repeated.
const ATTEMPTS_ABOUT_TABLES: u32 = 4;

/// The client for sessions.
///
/// - No retries: they would hide lost answers. Ours carry stamps, and are the retry layer's business.
/// - A connection, an answer and an attempt each have a limit.
/// - No protection against stalled streams: it looks at throughput over seconds, and an attempt ends long before.
pub(super) async fn client(config: &Config, clock: &Arc<dyn Clock>) -> Result<Client, Error> {
    let (region, endpoint) = match &config.place {
        Place::Region { region, endpoint } => (region.clone(), endpoint.clone()),
        Place::Embedded => return embedded(config, clock),
    };
    let transport = transport();
    let mut settings = match &config.login {
        Some(login) => Builder::new().credentials_provider(credentials(login)),
        None => {
            let chain = aws_config::defaults(DEFAULTS())
                .region(Region::new(region.clone()))
                .http_client(transport.clone());
            Builder::from(&Box::pin(chain.load()).await)
        }
    };
    settings = settings.region(Region::new(region));
    if let Some(endpoint) = endpoint {
        settings = settings.endpoint_url(endpoint);
    }
    Ok(finish(settings, config, transport))
}

#[cfg(feature = "dynamodb-local")]
fn embedded(config: &Config, clock: &Arc<dyn Clock>) -> Result<Client, Error> {
    let login = Login { access_key: "local".to_owned(), secret: "local".to_owned(), session_token: None };
    let settings =
        Builder::new().credentials_provider(credentials(&login)).region(Region::from_static("local"));
    Ok(finish(settings, config, super::embedded::transport(clock)?))
}

#[cfg(not(feature = "dynamodb-local"))]
fn embedded(_: &Config, _: &Arc<dyn Clock>) -> Result<Client, Error> {
    Err(crate::parameters::misconfigured(
        super::NAME,
        "this program was built without the embedded dynamodb: enable the feature `dynamodb-local` of holdover",
    ))
}

fn finish(settings: Builder, config: &Config, transport: SharedHttpClient) -> Client {
    let attempt = config.connect_timeout + config.response_timeout;
    let limits = TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.response_timeout)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt)
        .build();
    let settings = settings
        .behavior_version(DEFAULTS())
        .http_client(transport)
        .retry_config(RetryConfig::disabled())
        .timeout_config(limits)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(settings.build())
}

/// What is different for requests about tables: they are slower, and may be repeated.
pub(super) fn about_tables() -> Builder {
    let limits = TimeoutConfig::builder()
        .connect_timeout(ABOUT_TABLES)
        .read_timeout(ABOUT_TABLES)
        .operation_attempt_timeout(ABOUT_TABLES)
        .operation_timeout(ABOUT_TABLES * 2)
        .build();
    Builder::new()
        .timeout_config(limits)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_ABOUT_TABLES))
}

/// How long a connection is kept that nobody uses: less than servers keep it (some five seconds). A request on a
/// connection that is closed at the same moment would have an unknown effect.
const IDLE: Duration = Duration::from_secs(4);

/// HTTP over rustls with ring, which builds without cmake and a C++ compiler; certificates are the system's.
fn transport() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(IDLE)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

fn credentials(login: &Login) -> Credentials {
    let Login { access_key, secret, session_token } = login.clone();
    Credentials::new(access_key, secret, session_token, None, "url")
}
