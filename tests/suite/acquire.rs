//! Taking a lock: who gets it, who does not, and on which nodes it stands.

use crate::support::{assert_no_residue, cluster, holders, redlock};

#[tokio::test]
async fn a_lock_is_held_on_every_node_and_by_one_holder() {
    let cluster = cluster(5).await;
    let redlock = redlock(&cluster);
    let guard = redlock.lock("invoice:42").await.unwrap();
    assert!(guard.is_valid());
    assert!(redlock.try_lock("invoice:42").await.unwrap().is_none());
    assert_eq!(holders(&cluster, "invoice:42").await, "11111");
    guard.release().await.unwrap();
    assert!(redlock.try_lock("invoice:42").await.unwrap().is_some());
    assert_no_residue(&redlock, &cluster).await;
}
