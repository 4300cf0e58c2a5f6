//! A short tone that draws attention to the page.

use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AudioContext, OscillatorType};

/// What a tone draws attention to.
#[derive(Clone, Copy)]
pub enum Tone {
    /// Somebody waits to be let in.
    Lobby,
    /// A message has arrived.
    Message,
}

impl Tone {
    /// The two notes of the tone, in hertz: a fifth upwards, or a fourth downwards.
    const fn notes_hz(self) -> [f32; 2] {
        match self {
            Self::Lobby => [587.3, 880.0],
            Self::Message => [784.0, 587.3],
        }
    }
}

/// Duration of the first note, in seconds.
const FIRST_S: f64 = 0.14;
/// Duration of the tone, in seconds.
const WHOLE_S: f64 = 0.6;
/// Loudness of the tone; 1 is full scale.
const GAIN: f32 = 0.15;

/// Plays the tone. A browser that has no sound, or allows none without a gesture, stays silent.
pub fn play(tone: Tone) {
    let _ = try_play(tone);
}

fn try_play(tone: Tone) -> Result<(), JsValue> {
    let context = AudioContext::new()?;
    let (oscillator, gain) = (context.create_oscillator()?, context.create_gain()?);
    let from = context.current_time();
    oscillator.set_type(OscillatorType::Sine);
    let [first, second] = tone.notes_hz();
    oscillator.frequency().set_value_at_time(first, from)?;
    let frequency = oscillator.frequency();
    frequency.set_value_at_time(second, from + FIRST_S)?;
    let loudness = gain.gain();
    loudness.set_value_at_time(0.0, from)?;
    // Without a ramp the ends of the tone would click.
    loudness.linear_ramp_to_value_at_time(GAIN, from + 0.02)?;
    loudness.linear_ramp_to_value_at_time(0.0, from + WHOLE_S)?;
    oscillator.connect_with_audio_node(&gain)?;
    gain.connect_with_audio_node(&context.destination())?;
    // Frees the output of the device.
    let close = Closure::once_into_js({
        let context = context.clone();
        move || drop(context.close())
    });
    oscillator.set_onended(Some(close.as_ref().unchecked_ref()));
    oscillator.start()?;
    oscillator.stop_with_when(from + WHOLE_S)
}
