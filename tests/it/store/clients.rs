use super::*;
use crate::harness::on_every_engine;
use doorstep::domain::client::Role;
use doorstep::store::clients::NewClient;

on_every_engine![a_client_is_known_by_its_secret_until_it_is_revoked];

async fn a_client_is_known_by_its_secret_until_it_is_revoked(engine: Engine) {
    let b = bench(engine).await;
    let new = NewClient {
        role: Role::Office,
        name: "an office".to_owned(),
        region: Region::parse("522624").unwrap(),
        adapter: "canonical".to_owned(),
    };
    let (id, secret) = b.store.add_client(new.clone(), noon()).await.unwrap();
    let (_, other) = b.store.add_client(new, noon()).await.unwrap();
    let client = b.store.authenticate(id, &secret).await.unwrap().expect("the right secret");
    assert_eq!((client.role, client.region.to_string()), (Role::Office, "522624".to_owned()));
    for wrong in ["", "ds_", &other, &secret[..secret.len() - 1]] {
        assert!(b.store.authenticate(id, wrong).await.unwrap().is_none(), "{wrong}");
    }
    assert!(b.store.revoke_client(id, noon()).await.unwrap());
    assert!(!b.store.revoke_client(id, noon()).await.unwrap(), "it was done before");
    assert!(b.store.authenticate(id, &secret).await.unwrap().is_none());
    assert_eq!(b.store.clients().await.unwrap().iter().filter(|c| c.revoked).count(), 1);
}
