//! Where a measurement runs: a gateway with keys and a store of its own.

use crate::app::{Gateway, Parts};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::client::Role;
use crate::domain::region::Region;
use crate::outbound::ApiClient;
use crate::scratch::Scratch;
use crate::store::clients::NewClient;
use crate::store::ids::Ids;
use aws_lc_rs::signature::KeyPair;
use std::sync::Arc;

/// A gateway that is measured.
pub struct Place {
    pub gateway: Gateway,
    pub url: String,
    /// The public key that checkpoints are signed by.
    pub seal: Vec<u8>,
    config: Config,
    folder: Scratch,
}

impl Place {
    /// Starts a gateway on this store; without one on an embedded store of its own.
    /// `set` changes its settings.
    pub async fn start(store: Option<&str>, background: bool, set: impl FnOnce(&mut Config)) -> Result<Self, String> {
        Self::start_in(Scratch::make("bench").map_err(|e| e.to_string())?, store, background, set).await
    }

    /// The same in a folder that may hold the keys and the embedded store of an earlier one.
    pub async fn start_in(folder: Scratch, store: Option<&str>, background: bool, set: impl FnOnce(&mut Config)) -> Result<Self, String> {
        let mut config = Config::defaults();
        config.store.url = store.map_or_else(|| format!("sqlite://{}", folder.path().join("doorstep.db").display()), str::to_owned);
        config.http.listen = "127.0.0.1:0".to_owned();
        // Limits are there to be met by others.
        let l = &mut config.limits;
        (l.requests, l.requests_burst, l.anonymous, l.anonymous_burst) = (u32::MAX, u32::MAX, u32::MAX, u32::MAX);
        (l.records, l.records_burst) = (u32::MAX, u32::MAX);
        set(&mut config);
        Self::of(config, folder, background).await
    }

    async fn of(config: Config, folder: Scratch, background: bool) -> Result<Self, String> {
        let (url, keys) = (config.store.url.clone(), Arc::new(folder.keys()?));
        let seal = keys.seal.pair().public_key().as_ref().to_vec();
        let parts = Parts { config: config.clone(), keys, clock: Clock::System, ids: Arc::new(Ids::from_os()), background };
        Ok(Self { gateway: Gateway::start(parts).await?, url, seal, config, folder })
    }

    /// Stops the gateway and starts another over the same store.
    pub async fn again(self, background: bool) -> Result<Self, String> {
        self.gateway.stop().await;
        Self::of(self.config, self.folder, background).await
    }

    /// A client of this role, with its token.
    pub async fn client(&self, role: Role, name: &str, adapter: &str) -> Result<(ApiClient, String), String> {
        let new = NewClient { role, name: name.to_owned(), region: Region::NATION, adapter: adapter.to_owned() };
        let state = &self.gateway.state;
        let (id, secret) = state.store.add_client(new, state.clock.now()).await.map_err(|e| e.to_string())?;
        let api = ApiClient::new(self.gateway.address).map_err(|e| e.to_string())?;
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let kind = "application/x-www-form-urlencoded";
        let answer = api.call("POST", "/oauth/token", None, Some((kind, form.into_bytes()))).await.map_err(|e| e.to_string())?;
        match answer.json()["access_token"].as_str() {
            Some(token) => Ok((api, token.to_owned())),
            None => Err(format!("no token: {}", answer.json())),
        }
    }

    /// Does the callers' part on a thread of its own: the gateway's loops have this one.
    pub async fn beside<T: Send + 'static>(
        &self,
        callers: &str,
        part: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (measured, told) = tokio::sync::oneshot::channel();
        let named = std::thread::Builder::new().name(callers.to_owned());
        named.spawn(move || measured.send(part())).map_err(super::text)?;
        told.await.map_err(super::text)?
    }

    /// Stops the gateway; its folder goes with what is returned.
    pub async fn stop(self) -> Scratch {
        self.gateway.stop().await;
        self.folder
    }
}
