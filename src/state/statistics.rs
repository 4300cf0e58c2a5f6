//! Statistics of a peer connection, shown in the call's settings.

/// Statistics of one connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectionStats {
    /// Transport of the selected candidate pair: `udp`, `tcp`, or `relay` with the protocol to
    /// the relay.
    pub path: String,
    /// Round-trip time in milliseconds, if known.
    pub rtt_ms: Option<f64>,
    /// Estimated available bandwidth in kbit/s, if known.
    pub available_kbps: Option<f64>,
    /// The streams, one per RTP stream report.
    pub streams: Vec<StreamStats>,
}

/// Statistics of one RTP stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamStats {
    /// The id of its report, the same in every poll.
    pub key: String,
    /// Whether it is sent; otherwise it is received.
    pub sent: bool,
    /// Whether it is video.
    pub video: bool,
    /// The codec, for example `VP8`.
    pub codec: String,
    /// The `rid` of the simulcast layer; empty without simulcast.
    pub layer: String,
    /// Packets since the start of the stream.
    pub packets: f64,
    /// Bytes since the start of the stream.
    pub bytes: f64,
    /// Bitrate since the previous poll, in kbit/s.
    pub kbps: f64,
    /// Width and height of the video in pixels; 0 for audio.
    pub size: (u32, u32),
    /// Frames per second.
    pub fps: f64,
    /// Total lost packets, received streams only.
    pub lost: f64,
    /// Jitter, in milliseconds, received streams only.
    pub jitter_ms: f64,
}

impl ConnectionStats {
    /// Computes the bitrates from the previous poll, `passed_ms` ago.
    pub fn since(mut self, before: &Self, passed_ms: f64) -> Self {
        for stream in &mut self.streams {
            let known = before.streams.iter().find(|known| known.key == stream.key);
            if let Some(known) = known.filter(|_| passed_ms > 0.0) {
                let bits = 8.0 * (stream.bytes - known.bytes).max(0.0);
                stream.kbps = bits / passed_ms;
            }
        }
        self
    }

    /// Network quality since the previous poll: round-trip time in ms, packet loss as a fraction,
    /// audio jitter in ms; 0 for an unknown value.
    pub fn line_since(&self, before: &Self) -> [f64; 3] {
        let received = self.streams.iter().filter(|stream| !stream.sent);
        let (mut arrived, mut lost, mut jitter_ms) = (0.0, 0.0, 0.0_f64);
        for stream in received {
            let known = before.streams.iter().find(|known| known.key == stream.key);
            let (packets, missed) = known.map_or((0.0, 0.0), |known| (known.packets, known.lost));
            arrived += (stream.packets - packets).max(0.0);
            lost += (stream.lost - missed).max(0.0);
            // Video arrives in bursts, so its jitter says little about the network.
            if !stream.video {
                jitter_ms = jitter_ms.max(stream.jitter_ms);
            }
        }
        let loss = if lost > 0.0 {
            lost / (arrived + lost)
        } else {
            0.0
        };
        [self.rtt_ms.unwrap_or_default(), loss, jitter_ms]
    }
}

impl StreamStats {
    /// One line for display: `VP8 h · 640×360 · 25 fps · 480 kbit/s`.
    pub fn line(&self) -> String {
        let mut parts = vec![format!("{} {}", self.codec, self.layer).trim().to_owned()];
        if self.video && self.size.1 > 0 {
            parts.push(format!("{}×{}", self.size.0, self.size.1));
            parts.push(format!("{:.0} fps", self.fps));
        }
        parts.push(format!("{:.0} kbit/s", self.kbps));
        if !self.sent && self.jitter_ms > 0.0 {
            parts.push(format!("± {:.0} ms", self.jitter_ms));
        }
        parts.join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(key: &str, bytes: f64) -> StreamStats {
        StreamStats {
            key: key.into(),
            codec: "VP8".into(),
            layer: "h".into(),
            video: true,
            sent: true,
            size: (640, 360),
            fps: 25.4,
            bytes,
            ..StreamStats::default()
        }
    }

    fn figures(bytes: f64) -> ConnectionStats {
        ConnectionStats {
            streams: vec![stream("a", bytes)],
            ..ConnectionStats::default()
        }
    }

    #[test]
    fn rates_are_computed_since_the_poll_before() {
        let now = figures(61_000.0).since(&figures(1_000.0), 1_000.0);
        assert_eq!(now.streams[0].kbps, 480.0);
        assert_eq!(
            now.streams[0].line(),
            "VP8 h · 640×360 · 25 fps · 480 kbit/s"
        );
        let other = figures(5.0).since(&ConnectionStats::default(), 1_000.0);
        assert_eq!(other.streams[0].kbps, 0.0);
        let reset = figures(5.0).since(&figures(1_000.0), 1_000.0);
        assert_eq!(reset.streams[0].kbps, 0.0);
    }

    #[test]
    fn loss_is_measured_since_the_poll_before() {
        let look = |packets: f64, lost: f64, jitter_ms: f64| ConnectionStats {
            rtt_ms: Some(20.0),
            streams: vec![
                StreamStats {
                    sent: false,
                    video: false,
                    packets,
                    lost,
                    jitter_ms,
                    ..stream("voice", 0.0)
                },
                StreamStats {
                    packets: 1_000.0,
                    lost: 500.0,
                    jitter_ms: 90.0,
                    ..stream("my face", 0.0)
                },
            ],
            ..ConnectionStats::default()
        };
        let line = look(190.0, 15.0, 8.0).line_since(&look(100.0, 5.0, 7.0));
        assert_eq!(line, [20.0, 0.1, 8.0], "of what is received");
        let quiet = look(100.0, 5.0, 8.0).line_since(&look(100.0, 5.0, 8.0));
        assert_eq!(quiet, [20.0, 0.0, 8.0]);
        assert_eq!(
            ConnectionStats::default().line_since(&look(1.0, 1.0, 1.0)),
            [0.0; 3]
        );
    }
}
