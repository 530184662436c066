//! A way to the gateway that can break.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

pub(crate) struct Relay {
    pub(crate) at: SocketAddr,
    links: Arc<Mutex<Vec<AbortHandle>>>,
    listening: AbortHandle,
}

impl Relay {
    pub(crate) async fn to(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, links) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<AbortHandle>>>::default());
        let made = Arc::clone(&links);
        let listening = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let link = tokio::spawn(async move {
                    let mut far = TcpStream::connect(gateway).await.unwrap();
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
                made.lock().unwrap().push(link.abort_handle());
            }
        });
        Self { at, links, listening: listening.abort_handle() }
    }

    /// Ends every connection; new ones may be made.
    pub(crate) fn cut(&self) {
        self.links.lock().unwrap().drain(..).for_each(|link| link.abort());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}
