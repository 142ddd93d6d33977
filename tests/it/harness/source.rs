//! A source of feeds on a real socket: answers with the very bytes that a test
//! wrote, and remembers what it was asked.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query.
    pub target: String,
    /// Lower-case names.
    pub headers: HashMap<String, String>,
}

/// A server whose answers a test writes.
pub struct Source {
    pub address: SocketAddr,
    answers: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    held: Arc<Held>,
}

/// Requests that wait for the test before they are answered.
#[derive(Default)]
struct Held {
    /// Targets whose next request will wait, and how many wait.
    state: Mutex<(Vec<String>, usize)>,
    changed: Condvar,
}

impl Held {
    fn wait(&self, target: &str) {
        let mut state = self.state.lock().unwrap();
        let Some(at) = state.0.iter().position(|t| t == target) else { return };
        state.0.remove(at);
        state.1 += 1;
        while state.1 > 0 {
            state = self.changed.wait(state).unwrap();
        }
    }
}

impl Source {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on the loopback");
        let address = listener.local_addr().expect("a bound address");
        let source = Self { address, answers: Arc::default(), asked: Arc::default(), held: Arc::default() };
        let (answers, asked, held) = (source.answers.clone(), source.asked.clone(), source.held.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { return };
                let (answers, asked, held) = (answers.clone(), asked.clone(), held.clone());
                std::thread::spawn(move || answer(socket, &answers, &asked, &held));
            }
        });
        source
    }

    /// From now on `target` is answered with these bytes.
    pub fn answers(&self, target: &str, bytes: impl Into<Vec<u8>>) {
        self.answers.lock().unwrap().insert(target.to_owned(), bytes.into());
    }

    /// The next request for `target` waits, with the answer of that moment, until
    /// [`Source::release`].
    pub fn holds(&self, target: &str) {
        self.held.state.lock().unwrap().0.push(target.to_owned());
    }

    /// Waits until some request is held.
    pub async fn until_held(&self) {
        for _ in 0..5000 {
            if self.held.state.lock().unwrap().1 > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("nobody asked");
    }

    pub fn release(&self) {
        self.held.state.lock().unwrap().1 = 0;
        self.held.changed.notify_all();
    }

    /// What was asked since the last look.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }
}

fn answer(mut socket: TcpStream, answers: &Mutex<HashMap<String, Vec<u8>>>, asked: &Mutex<Vec<Asked>>, held: &Held) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let target = lines.next().and_then(|l| l.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers = lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
    let answer = answers.lock().unwrap().get(&target).cloned().unwrap_or_else(|| status(404, &[]));
    asked.lock().unwrap().push(Asked { target: target.clone(), headers });
    held.wait(&target);
    // Whoever asked may have gone away.
    let _ = socket.write_all(&answer);
    if answer.starts_with(STALLS) {
        // Its reader has to give up by itself.
        let _ = socket.read(&mut byte);
    }
}

/// How an answer begins that never comes to its end.
const STALLS: &[u8] = b"HTTP/1.1 200 STALLS";

/// A 200 that promises more than it sends and then says nothing more.
pub fn stalls(body: &[u8]) -> Vec<u8> {
    let mut out = STALLS.to_vec();
    out.extend_from_slice(format!("\r\ncontent-length: {}\r\n\r\n", body.len() + 1).as_bytes());
    out.extend_from_slice(body);
    out
}

/// A 200 with this body.
pub fn ok(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(n, v)| out.push_str(&format!("{n}: {v}\r\n")));
    let mut out = (out + "\r\n").into_bytes();
    out.extend_from_slice(body);
    out
}

/// An answer without a body.
pub fn status(code: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {code} X\r\nconnection: close\r\ncontent-length: 0\r\n");
    headers.iter().for_each(|(n, v)| out.push_str(&format!("{n}: {v}\r\n")));
    (out + "\r\n").into_bytes()
}
