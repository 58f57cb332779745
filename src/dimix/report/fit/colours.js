// Colours of clusters, labels and values, as [red, green, blue] of bytes.

// Observable's ten categorical colours without the grey, which here means "not shown".
const FIRST = ["4269d0", "efb118", "ff725c", "3ca951", "a463f2", "6cc5b0", "ff8ab7", "9c6b4e", "97bbf5"];
const VIRIDIS = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"];
const UNKNOWN = [148, 152, 160];

const fromHex = (hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
const css = (rgb) => `rgb(${rgb.join(" ")})`;
const firstColours = FIRST.map(fromHex);
const viridis = VIRIDIS.map(fromHex);

// The first colours, then as many as are asked for: hues a golden angle apart, in three tones.
function slotColour(slot) {
  if (slot < firstColours.length) return firstColours[slot];
  const step = slot - firstColours.length;
  const hue = (25 + 137.508 * step) % 360, light = [0.6, 0.45, 0.72][step % 3];
  const chroma = 0.62 * Math.min(light, 1 - light);
  return [0, 8, 4].map((shift) => {
    const k = (shift + hue / 30) % 12;
    return Math.round(255 * (light - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  });
}

function ramp(share) {
  const place = Math.max(0, Math.min(1, share)) * (viridis.length - 1);
  const below = Math.min(Math.floor(place), viridis.length - 2), rest = place - below;
  return viridis[below].map((v, i) => Math.round(v + rest * (viridis[below + 1][i] - v)));
}
