//! The yardstick of `cargo xtask bench`: a hyper reverse proxy that reads and judges nothing, in the shape of the gateway
//! (a runtime and a pool of upstream connections for each core). `bare_proxy UPSTREAM` picks a port and says where it listens.

use std::io::{Error, ErrorKind, Result, Write};

use http::header::{CONNECTION, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

/// What belongs to one connection and is not passed on.
const OF_THE_HOP: [HeaderName; 4] = [CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE];

type Pool = Client<HttpConnector, Incoming>;
type Reply = Response<Either<Incoming, Empty<Bytes>>>;

fn main() -> Result<()> {
    let upstream = std::env::args().nth(1).and_then(|url| url.parse::<Uri>().ok());
    let upstream = upstream.and_then(|url| url.authority().cloned());
    let upstream = upstream.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "usage: bare_proxy http://HOST:PORT"))?;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    writeln!(std::io::stdout(), "bare_proxy ready http://{}", listener.local_addr()?)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let (listener, upstream) = (listener.try_clone()?, upstream.clone());
            Ok(std::thread::spawn(move || work(listener, upstream)))
        })
        .collect::<Result<_>>()?;
    threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
}

fn work(listener: std::net::TcpListener, upstream: Authority) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(connection(stream, pool.clone(), upstream.clone()));
        }
    })
}

async fn connection(stream: TcpStream, pool: Pool, upstream: Authority) {
    _ = stream.set_nodelay(true);
    let service = service_fn(|request| forward(request, &pool, &upstream));
    // How a connection ends is the peer's business.
    _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn forward(
    mut request: Request<Incoming>,
    pool: &Pool,
    upstream: &Authority,
) -> std::result::Result<Reply, http::Error> {
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(upstream.clone());
    *request.uri_mut() = Uri::from_parts(uri)?;
    for name in OF_THE_HOP {
        request.headers_mut().remove(name);
    }
    match pool.request(request).await {
        Ok(mut response) => {
            for name in OF_THE_HOP {
                response.headers_mut().remove(name);
            }
            Ok(response.map(Either::Left))
        }
        Err(_) => Response::builder().status(StatusCode::BAD_GATEWAY).body(Either::Right(Empty::new())),
    }
}
