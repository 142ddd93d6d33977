//! The list of events, read while others write.

use super::*;
use crate::harness::on_every_engine;
use doorstep::domain::id::EventId;
use doorstep::store::log::Event;
use futures_util::future::join_all;
use std::collections::HashSet;

on_every_engine![a_reader_beside_many_writers_misses_nothing_and_sees_nothing_twice, an_event_that_is_still_due_is_not_forgotten];

fn event(id: EventId) -> Event {
    let data = serde_json::json!({"posting": null, "source_id": null, "sequence": null});
    Event { id, platform: PLATFORM.to_owned(), kind: "hire.tagged", at: noon(), posting: None, data }
}

/// Writes events one after the other; every fifth transaction says one more event and
/// fails with both, since that one is there already. The ids of those that stand.
async fn writer(store: Store, taken: EventId) -> Vec<EventId> {
    let mut stands = Vec::new();
    for n in 0..50 {
        let id = EventId::new(store.fresh_id(noon()));
        if n % 5 == 4 {
            store.announce(vec![event(id), event(taken)]).await.expect_err("an id stands once");
        } else {
            store.announce(vec![event(id)]).await.unwrap();
            stands.push(id);
        }
    }
    stands
}

async fn a_reader_beside_many_writers_misses_nothing_and_sees_nothing_twice(engine: Engine) {
    const WRITERS: usize = 6;
    let b = bench(engine).await;
    let (url, keys) = (b.place.url.clone(), b.keys.clone());
    let open = move || Store::open(Opening { url: &url, readers: 1, keys, ids: Arc::new(Ids::seeded(8)), stale_months: 3, serve: false });
    let other = tokio::task::spawn_blocking(open).await.unwrap().unwrap_or_else(|e| panic!("{e}"));
    let first = EventId::new(b.store.fresh_id(noon()));
    b.store.announce(vec![event(first)]).await.unwrap();
    let all = 1 + 2 * WRITERS * 40;
    let writers = (0..WRITERS).flat_map(|_| [b.store.clone(), other.clone()]).map(|store| tokio::spawn(writer(store, first)));
    let writing = join_all(writers.collect::<Vec<_>>());
    let reading = async {
        let (mut seen, mut after): (Vec<Listed>, Option<i64>) = (Vec::new(), None);
        while seen.len() < all {
            let page = b.store.events_page(PLATFORM.to_owned(), after, 7).await.unwrap().unwrap();
            assert!(page.events.iter().all(|e| after.is_none_or(|after| e.seq > after)));
            seen.extend(page.events);
            after = Some(page.next);
            tokio::task::yield_now().await;
        }
        seen
    };
    let both = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(writing, reading) });
    let (written, seen) = both.await.expect("the reader saw everything that was written");
    let order: Vec<EventId> = seen.iter().map(|e| e.id).collect();
    let stands: HashSet<EventId> = written.into_iter().flat_map(|ids| ids.unwrap()).chain([first]).collect();
    assert_eq!(order.iter().copied().collect::<HashSet<_>>(), stands, "all that was committed, and nothing that was not");
    assert_eq!(order.len(), stands.len(), "nothing twice");
    let after: Vec<EventId> = b.events().await.iter().map(|e| e.id).collect();
    assert_eq!(after, order, "in the order in which everybody sees it");
}

async fn an_event_that_is_still_due_is_not_forgotten(engine: Engine) {
    let b = bench(engine).await;
    b.store.add_endpoint(PLATFORM.to_owned(), "https://example.com/".to_owned(), Vec::new(), None, noon()).await.unwrap();
    let ids: Vec<EventId> = (0..250).map(|_| EventId::new(b.store.fresh_id(noon()))).collect();
    b.store.announce(ids.iter().copied().map(event).collect()).await.unwrap();
    let due = super::webhooks::take(&b, 500, noon()).await;
    assert_eq!(due.len(), 250);
    // All but ten are received.
    super::webhooks::received(&b, &due[10..]).await;
    let before = noon().plus(HOUR);
    let (mut position, mut gone) = (0, 0);
    loop {
        let (reached, some) = b.store.forget_events(position, before).await.unwrap();
        assert!(some <= 100, "in small steps");
        if reached == position {
            break;
        }
        (position, gone) = (reached, gone + some);
    }
    assert_eq!(gone, 240);
    assert_eq!(b.store.forget_attempts(before).await.unwrap(), 240);
    assert!(b.store.events_page(PLATFORM.to_owned(), Some(3), 10).await.unwrap().is_none(), "a cursor from before is known as such");
    assert!(b.events().await.is_empty());
    let later = super::webhooks::take(&b, 500, noon().plus(HOUR)).await;
    assert_eq!(later.len(), 10, "what is due is sent all the same");
    super::webhooks::received(&b, &later).await;
    b.store.forget_events(0, before).await.unwrap();
    assert_eq!(b.store.forget_events(0, before).await.unwrap(), (0, 0), "then they go as well");
}
