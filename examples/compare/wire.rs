//! What requests cost on the wire: counted by proxies in front of the servers, one request at a time, and timed while the
//! proxies hold every answer back.

use std::sync::Arc;
use std::time::Duration;

use holdover::api::Stopwatch;
use holdover::{SessionId, SessionPolicy};
use holdover_conformance::proxy::{Behaviour, Direction, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::counted::Counted;
use crate::figures::{Spread, fit, median};
use crate::requests::{Request, serve, visitor};
use crate::result::{Calls, Delayed, Wire};
use crate::stacks::{Fallible, Stand, settled};

/// What the proxies are asked to add to each answer, in milliseconds.
pub(crate) const DELAYS: [u64; 3] = [0, 1, 5];

const BYTES: usize = 1024;
/// Two looks at the counts, so far apart, see the same once nothing is under way, and longer if answers are held back.
const QUIET: Duration = Duration::from_millis(3);
const PINGS: usize = 60;

/// What a bare exchange takes longer through a proxy that holds answers back, in the order of [`DELAYS`]: a timer rounds up
/// what it is asked for.
pub(crate) async fn calibrate() -> Fallible<Vec<f64>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::start(listener.local_addr()?).await?;
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let mut piece = [0; 64];
        loop {
            let length = stream.read(&mut piece).await?;
            if length == 0 {
                return std::io::Result::Ok(());
            }
            stream.write_all(&piece[..length]).await?;
        }
    });
    let mut stream = TcpStream::connect(proxy.address()).await?;
    stream.set_nodelay(true)?;
    let mut medians = Vec::new();
    for delay in DELAYS {
        hold_back(std::slice::from_ref(&proxy), delay);
        let mut took = Vec::new();
        for _ in 0..PINGS {
            let watch = Stopwatch::start();
            stream.write_all(b"ping").await?;
            stream.read_exact(&mut [0; 4]).await?;
            took.push(millis(watch.elapsed()));
        }
        medians.push(median(took));
    }
    echo.abort();
    Ok(medians.iter().map(|took| took - medians[0]).collect())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn hold_back(proxies: &[Proxy], delay: u64) {
    let behaviour = if delay == 0 { Behaviour::Pass } else { Behaviour::Delay(Duration::from_millis(delay)) };
    for proxy in proxies {
        proxy.set(Direction::Responses, behaviour);
    }
}

/// Exchanges, bytes of requests and bytes of answers, through all proxies.
fn passed(proxies: &[Proxy]) -> [usize; 3] {
    proxies.iter().map(Proxy::counts).fold([0; 3], |sum, counts| {
        [sum[0] + counts.requests, sum[1] + counts.request_bytes, sum[2] + counts.response_bytes]
    })
}

/// A stack behind proxies.
struct Seen {
    proxies: Vec<Proxy>,
    store: Arc<Counted>,
    policy: SessionPolicy,
}

/// One request, as it was seen.
struct Sample {
    operations: f64,
    passed: [f64; 3],
    took: f64,
}

impl Seen {
    async fn open(stand: &Stand) -> Fallible<Self> {
        let mut proxies = Vec::new();
        for address in stand.addresses() {
            proxies.push(Proxy::start(address).await?);
        }
        let via: Vec<_> = proxies.iter().map(Proxy::address).collect();
        let store = Counted::over(stand.open_via(&via, true).await?);
        let policy = stand.policy(Arc::clone(&store) as Arc<_>);
        let seen = Self { proxies, store, policy };
        // Connections are opened, and scripts loaded, once.
        for request in Request::ALL {
            seen.sample(request, 0).await?;
        }
        Ok(seen)
    }

    async fn sample(&self, request: Request, delay: u64) -> Fallible<Sample> {
        let quiet = QUIET + Duration::from_millis(delay * 2);
        let id: SessionId = visitor(&self.policy, BYTES).await?;
        settled(quiet, || passed(&self.proxies)).await;
        hold_back(&self.proxies, delay);
        let (operations, before) = (self.store.calls(), passed(&self.proxies));
        let watch = Stopwatch::start();
        serve(&self.policy, &id, request, BYTES).await?;
        let took = millis(watch.elapsed());
        settled(quiet, || passed(&self.proxies)).await;
        hold_back(&self.proxies, 0);
        let after = passed(&self.proxies);
        let passed = [0, 1, 2].map(|number| (after[number] - before[number]) as f64);
        Ok(Sample { operations: (self.store.calls() - operations) as f64, passed, took })
    }

    async fn calls(&self, request: Request, repeats: usize, added: &[f64]) -> Fallible<Calls> {
        let mut samples: [Vec<Sample>; 3] = Default::default();
        for _ in 0..repeats {
            for (samples, delay) in samples.iter_mut().zip(DELAYS) {
                samples.push(self.sample(request, delay).await?);
                if self.proxies.is_empty() {
                    break;
                }
            }
        }
        let undelayed = &samples[0];
        let of = |pick: &dyn Fn(&Sample) -> f64| median(undelayed.iter().map(pick).collect());
        let operations = of(&|sample| sample.operations);
        if self.proxies.is_empty() {
            return Ok(Calls { request, operations, wire: None });
        }
        let delayed: Vec<Delayed> = samples
            .iter()
            .zip(DELAYS.into_iter().zip(added))
            .map(|(samples, (asked, added))| Delayed {
                asked_ms: asked as f64,
                added_ms: *added,
                took_ms: Spread::of(&samples.iter().map(|sample| sample.took).collect::<Vec<_>>()),
            })
            .collect();
        let points: Vec<_> = delayed.iter().map(|point| (point.added_ms, point.took_ms.median)).collect();
        let wire = Wire {
            exchanges: of(&|sample| sample.passed[0]),
            bytes_out: of(&|sample| sample.passed[1]),
            bytes_in: of(&|sample| sample.passed[2]),
            slope: fit(&points).map(|(_, slope)| slope),
            delayed,
        };
        Ok(Calls { request, operations, wire: Some(wire) })
    }
}

/// Requests of each kind on one stack.
pub(crate) async fn measure(stand: &Stand, repeats: usize, added: &[f64]) -> Fallible<Vec<Calls>> {
    let seen = Seen::open(stand).await?;
    let mut all = Vec::new();
    for request in Request::ALL {
        all.push(seen.calls(request, repeats, added).await?);
    }
    Ok(all)
}
