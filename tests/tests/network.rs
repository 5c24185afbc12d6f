//! Bad networks between real processes: whatever the network does, the run ends at the undisturbed digest.
//!
//! Workers reach the coordinator through a relay; the operator does not.

#[path = "network/namespaces.rs"]
mod namespaces;
#[path = "network/setting.rs"]
mod setting;

use std::time::Duration;

use setting::{Setting, spec};
use syngrad::client::RunStatus;
use syngrad_tests::relay::{Direction, Nature, Relay};

/// A third of the run.
fn is_midway(status: &RunStatus) -> bool {
    status.rounds_committed * 3 >= status.rounds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delay_and_jitter_change_no_bit() {
    let (delay, jitter) = (Duration::from_millis(10), Duration::from_millis(20));
    let nature = Nature { delay, jitter, ..Nature::default() };
    let mut setting = Setting::begin(&spec(1, 3), nature, 2).await;
    let last = setting.follow(async |_, _| {}).await;
    assert_eq!(last.counters.leaves, 0, "a slow network is no dead one");
    setting.end(&last);
}

async fn one_silence(directions: &[Direction]) {
    let mut setting = Setting::begin(&spec(2, 6), Nature::default(), 2).await;
    let mut silenced = false;
    let last = setting
        .follow(async |status, relay| {
            if is_midway(status) && !silenced {
                silenced = true;
                directions.iter().for_each(|&direction| relay.silence(direction));
            }
        })
        .await;
    assert!(silenced && last.counters.leaves >= 2, "both workers were behind it: {:?}", last.counters);
    setting.end(&last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_is_found_and_replaced() {
    one_silence(&[Direction::Up, Direction::Down]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_of_the_workers_is_found() {
    one_silence(&[Direction::Up]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_of_the_coordinator_is_found() {
    one_silence(&[Direction::Down]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flapping_connection_changes_no_bit() {
    let mut setting = Setting::begin(&spec(3, 20), Nature::default(), 2).await;
    let mut flaps = 0;
    let last = setting
        .follow(async |status, relay| {
            if status.rounds_committed * 5 > (flaps + 1) * status.rounds {
                flaps += 1;
                let known = relay.traffic().connections;
                relay.refuse(true);
                // It comes back once a worker has tried in vain.
                relay.carried(|traffic| traffic.connections > known).await;
                relay.refuse(false);
            }
        })
        .await;
    assert!(flaps >= 3, "{flaps} flaps");
    setting.end(&last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_forgets_idle_connections_forgets_no_worker() {
    // The proxy's minute is a second here, and silence scaled with it.
    let nature = Nature { idle: Some(Duration::from_secs(1)), ..Nature::default() };
    let mut setting = Setting::begin_with(&spec(4, 3), nature, (1, 2)).await;
    // One worker waits for the other; all it says is that it is there.
    let known = setting.relay.carried(|traffic| traffic.down > 0).await;
    setting.relay.carried(|traffic| traffic.up > known.up + 12 && traffic.down > known.down + 12).await;
    setting.add_worker();
    let last = setting.follow(async |_, _| {}).await;
    assert_eq!(setting.relay.traffic().idle_cuts, 0);
    assert_eq!((last.counters.joins, last.counters.leaves), (2, 0), "{:?}", last.counters);
    setting.end(&last);
}

/// The relay is part of what is tested with: it must do what it says.
#[tokio::test]
async fn a_proxy_cuts_who_says_nothing() {
    let setting = Setting::begin_with(&spec(5, 3), Nature::default(), (0, 1)).await;
    let idle = Some(Duration::from_millis(200));
    let mut relay = Relay::before(setting.address(), Nature { idle, ..Nature::default() }).await;
    let _silent = tokio::net::TcpStream::connect(relay.address()).await.expect("it listens");
    relay.carried(|traffic| traffic.idle_cuts == 1).await;
}
