//! The census: everybody stands still, every fault is gone, and what the daemon says is held against what the kernel knows.

use std::collections::BTreeMap;
use std::time::Instant;

use super::World;
use crate::support::*;

impl World {
    /// Stops everybody for a moment and counts.
    pub(super) async fn census(&self) {
        let _everybody = self.moving.write().await;
        self.api.post("/v1/restore", "").expect(200);
        let begun = Instant::now();
        loop {
            let (told, known) = (self.told(), self.known());
            if told == known {
                break;
            }
            // A side that ended behind bytes that cannot be delivered is looked for every 5 s.
            assert!(
                begun.elapsed() < secs(20),
                "told: {told:?}\nbut there are: {known:?}\n{}",
                self.story_of_the_living()
            );
            tokio::time::sleep(ms(5)).await;
        }
        let resident = resident(self.daemon.pid());
        assert!(resident <= self.most, "{resident} bytes of memory, more than {}", self.most);
    }

    /// What the daemon says of the connections it has, and what it told of each.
    fn story_of_the_living(&self) -> String {
        let listed = self.api.get("/v1/connections").json();
        let mut story = format!("{listed}\n");
        for connection in listed["connections"].as_array().into_iter().flatten() {
            let of_it = |event: &Event| event.fields["id"] == connection["id"];
            for event in self.daemon.events.all(of_it) {
                story.push_str(&format!("{}\n", event.fields));
            }
        }
        story
    }

    /// How many connections each route has, as the metrics say.
    fn told(&self) -> BTreeMap<&'static str, usize> {
        let text = self.api.get("/metrics").text();
        let of = |name: &str| {
            let sample = format!("chaos_proxy_connections_active{{route=\"{name}\"}} ");
            let found = text.lines().find_map(|line| line.strip_prefix(sample.as_str()));
            found.map_or(0, |value| value.parse::<f64>().unwrap() as usize)
        };
        self.places.iter().map(|place| (place.name, of(place.name))).collect()
    }

    /// The same as the kernel knows it.
    fn known(&self) -> BTreeMap<&'static str, usize> {
        let of = |port: u16| clients_of(self.daemon.pid(), port);
        self.places.iter().map(|place| (place.name, of(place.at.port()))).collect()
    }
}
