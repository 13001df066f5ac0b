//! Looks names up, once for each connection.

use async_trait::async_trait;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, oneshot};

/// Look-ups of one location at a time, beside the one that it always may have.
const FURTHER: usize = 7;
/// All of those, of all locations together.
const SHARED: usize = 64;

/// Looks names up in the system's place: for tests of names that mean another place each time.
#[async_trait]
pub trait Resolver: std::fmt::Debug + Send + Sync {
    /// The addresses of a name, with the port.
    ///
    /// # Errors
    /// When it has none; the connection fails with it.
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// How the system is asked: it blocks, and nothing ends it before it has an answer.
type LookUp = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Looks names up as this machine is set up to do it, on threads that nothing else needs: one
/// location's names may take as long as they like without a wait for anybody else.
#[derive(Debug, Clone)]
pub(crate) struct LookUps {
    look_up: LookUp,
    shared: Arc<Semaphore>,
}

impl LookUps {
    pub(crate) fn new() -> Self {
        Self { look_up, shared: Arc::new(Semaphore::new(SHARED)) }
    }

    /// Those of one location.
    pub(crate) fn of_location(&self) -> System {
        let (own, further) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(FURTHER)));
        System { all: self.clone(), own, further }
    }
}

/// One location's look-ups.
#[derive(Debug)]
pub(crate) struct System {
    all: LookUps,
    /// The one that others cannot take, however much hangs.
    own: Arc<Semaphore>,
    further: Arc<Semaphore>,
}

/// What a look-up holds until it has really ended, also when nobody waits for it any more.
struct Place {
    _of_location: OwnedSemaphorePermit,
    _shared: Option<OwnedSemaphorePermit>,
}

impl System {
    async fn place(&self) -> Result<Place, AcquireError> {
        tokio::select! {
            biased;
            own = Arc::clone(&self.own).acquire_owned() => Ok(Place { _of_location: own?, _shared: None }),
            further = self.further_place() => further,
        }
    }

    async fn further_place(&self) -> Result<Place, AcquireError> {
        let further = Arc::clone(&self.further).acquire_owned().await?;
        let shared = Arc::clone(&self.all.shared).acquire_owned().await?;
        Ok(Place { _of_location: further, _shared: Some(shared) })
    }
}

#[async_trait]
impl Resolver for System {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let place = self.place().await.map_err(io::Error::other)?;
        let (name, look_up) = (name.to_owned(), self.all.look_up);
        let (sender, found) = oneshot::channel();
        // A thread for each: they are as rare as new connections, and a pool could not be left
        // behind at the end of the process while one of them hangs.
        std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            let found = look_up(&name, port);
            drop(place);
            // Whoever asked may have given up.
            let _ = sender.send(found);
        })?;
        found.await.map_err(io::Error::other)?
    }
}

fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((name, port).to_socket_addrs()?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SOON: Duration = Duration::from_millis(100);

    /// As a resolver whose servers do not answer for one name.
    fn hanging(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if name == "hangs.example" {
            loop {
                std::thread::park();
            }
        }
        Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
    }

    #[tokio::test]
    async fn look_ups_that_hang_hold_up_no_other_location_also_when_they_are_given_up() {
        let all = LookUps { look_up: hanging, shared: Arc::new(Semaphore::new(FURTHER)) };
        let (slow, other) = (all.of_location(), all.of_location());
        let asked = futures::future::join_all((0..20).map(|_| slow.resolve("hangs.example", 443)));
        assert!(tokio::time::timeout(SOON, asked).await.is_err());
        assert_eq!((slow.own.available_permits(), all.shared.available_permits()), (0, 0));
        assert!(tokio::time::timeout(SOON, slow.resolve("works.example", 443)).await.is_err());
        for _ in 0..20 {
            let found = other.resolve("works.example", 443).await.expect("it has an address");
            assert_eq!(found, [SocketAddr::from(([192, 0, 2, 1], 443))]);
        }
    }

    #[tokio::test]
    async fn no_location_has_more_than_its_part_of_the_threads() {
        let all = LookUps { look_up: hanging, ..LookUps::new() };
        let slow = all.of_location();
        let asked = futures::future::join_all((0..20).map(|_| slow.resolve("hangs.example", 443)));
        assert!(tokio::time::timeout(SOON, asked).await.is_err());
        assert_eq!(all.shared.available_permits(), SHARED - FURTHER);
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let system = LookUps { look_up: |_, _| panic!("it was looked up"), ..LookUps::new() }.of_location();
        let found = system.resolve("192.0.2.7", 80).await.expect("an address");
        assert_eq!(found, [SocketAddr::from(([192, 0, 2, 7], 80))]);
    }
}
