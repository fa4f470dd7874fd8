// Atoms as shaded spheres on a canvas: turned, cut, coloured by element or by a value. No library, no network.
"use strict";

const SPRITE = 96;     // edge of a drawn ball [pixels]; it is scaled to the size of an atom
const HAZES = 12;      // far atoms are paler, in so many steps
const TURN = 5;        // of an arrow key [degrees]
const MOST_BALLS = 3000; // kept at a time
const UNKNOWN = [190, 190, 190];

// A ball as plot::spheres shades it: Lambert's light from the upper left, a highlight, a dark rim, haze.
function sprite(color, haze) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SPRITE;
  const context = canvas.getContext("2d");
  const image = context.createImageData(SPRITE, SPRITE);
  const unit = v => v.map(x => x / Math.hypot(...v));
  const lamp = unit([-0.42, 0.54, 0.73]);
  const half = unit([lamp[0], lamp[1], lamp[2] + 1]);
  const radius = SPRITE / 2 - 1;
  for (let y = 0; y < SPRITE; y++) {
    for (let x = 0; x < SPRITE; x++) {
      const u = (x + 0.5 - SPRITE / 2) / radius, v = (SPRITE / 2 - y - 0.5) / radius;
      const r = Math.hypot(u, v), alpha = Math.min(1, Math.max(0, (1 - r) * radius + 0.5));
      if (alpha === 0) continue;
      const normal = [u, v, Math.sqrt(Math.max(0, 1 - r * r))];
      const dot = a => Math.max(0, a[0] * normal[0] + a[1] * normal[1] + a[2] * normal[2]);
      const diffuse = (0.5 + 0.5 * dot(lamp)) * (0.45 + 0.55 * Math.min(1, normal[2] / 0.35));
      const shine = 0.8 * dot(half) ** 36;
      const at = 4 * (y * SPRITE + x);
      for (let c = 0; c < 3; c++) {
        const lit = Math.min(1, 1.15 * color[c] / 255 * diffuse);
        const shiny = lit + (1 - lit) * shine;
        image.data[at + c] = 255 * (shiny + (1 - shiny) * haze);
      }
      image.data[at + 3] = 255 * alpha;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// The rows right, up and towards the viewer, as in plot::spheres.
const AXES = {
  x: [0, 1, 0, 0, 0, 1, 1, 0, 0],
  y: [-1, 0, 0, 0, 0, 1, 0, 1, 0],
  z: [1, 0, 0, 0, 1, 0, 0, 0, 1],
};
// A view that is along no axis, so that the particle looks like a body.
const FIRST = turned(AXES.x, -0.5, 0.35);

// The frame turned about the screen's vertical and horizontal axes [radians].
function turned(frame, about_up, about_right) {
  const [c, s, C, S] = [Math.cos(about_up), Math.sin(about_up), Math.cos(about_right), Math.sin(about_right)];
  const [right, up, near] = [0, 3, 6].map(i => frame.slice(i, i + 3));
  const mix = (a, x, b, y) => a.map((_, i) => x * a[i] + y * b[i]);
  const back = mix(near, c, right, -s);
  return [...mix(right, c, near, s), ...mix(up, C, back, -S), ...mix(back, C, up, S)];
}

function view(root) {
  const get = name => root.querySelector("." + name);
  const data = JSON.parse(get("data").textContent);
  const canvas = get("view"), context = canvas.getContext("2d"), tip = get("tip");
  const { elements, species, positions, columns } = data;
  const count = species.length, shown = elements.map(() => true);
  const middle = [0, 1, 2].map(k => positions.reduce((sum, x, i) => i % 3 === k ? sum + x : sum, 0) / count);
  let reach = 1;
  for (let i = 0; i < count; i++) {
    const away = Math.hypot(...[0, 1, 2].map(k => positions[3 * i + k] - middle[k]));
    reach = Math.max(reach, away + elements[species[i]].radius);
  }
  const sprites = new Map(), balls = new Map(), order = new Uint32Array(count);
  const [X, Y, Z] = [0, 1, 2].map(() => new Float64Array(count));
  let frame = FIRST, zoom = 1, column = -1, range = [0, 1], cut = 0, size = 1, waiting = false, drawn = 0;

  const ramp = () => range[0] < 0 && range[1] > 0 ? data.diverging : data.viridis;

  // The colour of an atom, and its number among all colours.
  function color(i) {
    if (column < 0) return [elements[species[i]].color, 1 + species[i]];
    const value = columns[column].values[i];
    if (value === null) return [UNKNOWN, 0];
    const part = (value - range[0]) / (range[1] - range[0] || 1), last = ramp().length - 1;
    const level = Math.round(last * Math.min(1, Math.max(0, part)));
    return [ramp()[level], (ramp() === data.viridis ? 200 : 300) + level];
  }

  // The ball of an atom at the size in which it is drawn: copies are fast, scaling is not.
  function ball(i, haze, diameter) {
    const [rgb, name] = color(i), key = (name * HAZES + haze) * 8192 + diameter;
    let found = balls.get(key);
    if (found) return found;
    const whole = name * HAZES + haze;
    if (!sprites.has(whole)) sprites.set(whole, sprite(rgb, 0.55 * haze / (HAZES - 1)));
    found = document.createElement("canvas");
    found.width = found.height = diameter;
    const small = found.getContext("2d");
    small.imageSmoothingQuality = "high";
    small.drawImage(sprites.get(whole), 0, 0, diameter, diameter);
    if (balls.size > MOST_BALLS) balls.clear();
    balls.set(key, found);
    return found;
  }

  const scale = () => zoom * Math.min(canvas.width, canvas.height) / (2.15 * reach);

  function draw() {
    waiting = false;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map(x => Math.max(1, Math.round(x * ratio)));
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    let near = -Infinity, far = Infinity;
    for (let i = 0; i < count; i++) {
      const x = positions[3 * i] - middle[0], y = positions[3 * i + 1] - middle[1], z = positions[3 * i + 2] - middle[2];
      X[i] = frame[0] * x + frame[1] * y + frame[2] * z;
      Y[i] = frame[3] * x + frame[4] * y + frame[5] * z;
      Z[i] = frame[6] * x + frame[7] * y + frame[8] * z;
      near = Math.max(near, Z[i]);
      far = Math.min(far, Z[i]);
    }
    const front = near - cut * (near - far);
    drawn = 0;
    for (let i = 0; i < count; i++) if (shown[species[i]] && Z[i] <= front + 1e-9) order[drawn++] = i;
    order.subarray(0, drawn).sort((a, b) => Z[a] - Z[b]);
    const s = scale(), diameters = elements.map(element => Math.max(2, Math.round(2 * size * element.radius * s * SPRITE / (SPRITE - 2))));
    for (let k = 0; k < drawn; k++) {
      const i = order[k], diameter = diameters[species[i]];
      const haze = front > far ? Math.round((HAZES - 1) * (front - Z[i]) / (front - far)) : 0;
      const x = width / 2 + s * X[i] - diameter / 2, y = height / 2 - s * Y[i] - diameter / 2;
      context.drawImage(ball(i, haze, diameter), Math.round(x), Math.round(y));
    }
    scale_bar(s / ratio, ratio, height);
    triad(ratio, width, height);
  }

  function text(words, x, y, ratio, align) {
    context.font = 14 * ratio + "px system-ui, sans-serif";
    context.textAlign = align;
    context.textBaseline = "middle";
    context.lineWidth = 3 * ratio;
    context.strokeStyle = "#fff";
    context.strokeText(words, x, y);
    context.fillStyle = "#222";
    context.fillText(words, x, y);
  }

  function scale_bar(pixels, ratio, height) {
    const wanted = 110 / pixels, power = 10 ** Math.floor(Math.log10(wanted));
    const length = [5, 2, 1].map(x => x * power).find(x => x <= wanted) || power;
    const [x, y, end] = [16 * ratio, height - 18 * ratio, (16 + length * pixels) * ratio];
    context.fillStyle = "#fff";
    context.fillRect(x - 2 * ratio, y - 2 * ratio, end - x + 4 * ratio, 9 * ratio);
    context.fillStyle = "#222";
    context.fillRect(x, y, end - x, 5 * ratio);
    const words = length >= 10 ? length / 10 + " nm" : Number(length.toPrecision(1)) + " Å";
    text(words, (x + end) / 2, y - 12 * ratio, ratio, "center");
  }

  function triad(ratio, width, height) {
    const [x, y, arrow] = [width - 48 * ratio, height - 48 * ratio, 28 * ratio];
    for (const [k, letter] of ["x", "y", "z"].entries()) {
      const [right, up] = [frame[k], frame[3 + k]];
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + arrow * right, y - arrow * up);
      context.lineWidth = 2 * ratio;
      context.strokeStyle = "#222";
      context.stroke();
      const length = Math.hypot(right, up), beyond = length > 0.15 ? (arrow * length + 10 * ratio) / length : 0;
      if (beyond) text(letter, x + beyond * right, y - beyond * up, ratio, "center");
    }
  }

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  }

  function turn(about_up, about_right) { frame = turned(frame, about_up, about_right); redraw(); }
  function zoom_by(factor) { zoom = Math.min(30, Math.max(0.3, zoom * factor)); redraw(); }
  function reset() { frame = FIRST; zoom = 1; redraw(); }

  // The atom in front at a place of the window; −1 for none.
  function atom_at(event) {
    const box = canvas.getBoundingClientRect(), s = scale() * box.width / canvas.width;
    const x = (event.clientX - box.left - box.width / 2) / s, y = -(event.clientY - box.top - box.height / 2) / s;
    for (let k = drawn - 1; k >= 0; k--) {
      const i = order[k];
      if (Math.hypot(X[i] - x, Y[i] - y) <= size * elements[species[i]].radius) return i;
    }
    return -1;
  }

  const number = value => value === null ? "–" : String(Number(value.toPrecision(5))).replace("-", "−");

  function point_at(event) {
    const i = atom_at(event);
    tip.hidden = i < 0;
    if (i < 0) return;
    const at = [0, 1, 2].map(k => positions[3 * i + k].toFixed(3).replace("-", "−")).join(", ");
    tip.replaceChildren();
    const line = (words, tag) => {
      const part = document.createElement(tag);
      part.textContent = words;
      tip.append(part);
    };
    line(`${elements[species[i]].symbol}, atom ${i}`, "b");
    line(`(${at}) Å`, "div");
    for (const { label, values } of columns) {
      const [, name, unit] = label.match(/^(.*?)(?: \[(.*)\])?$/);
      line(`${name}: ${number(values[i])}${unit ? " " + unit : ""}`, "div");
    }
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    tip.style.left = Math.min(x + 14, box.width - tip.offsetWidth - 4) + "px";
    tip.style.top = (y + 14 + tip.offsetHeight > box.height ? Math.max(0, y - 10 - tip.offsetHeight) : y + 14) + "px";
  }

  const pointers = new Map();
  canvas.addEventListener("pointerdown", event => {
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    tip.hidden = true;
  });
  window.addEventListener("pointermove", event => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY], others = [...pointers].filter(([id]) => id !== event.pointerId);
    if (others.length > 0) {
      // two fingers: their distance is the zoom
      const away = place => Math.hypot(place[0] - others[0][1][0], place[1] - others[0][1][1]);
      zoom_by(away(now) / Math.max(1, away(before)));
    } else {
      const half = canvas.clientHeight / 2.4;
      turn((now[0] - before[0]) / half, (now[1] - before[1]) / half);
    }
    pointers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    window.addEventListener(name, event => pointers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", event => { if (pointers.size === 0) point_at(event); });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("dblclick", reset);
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    zoom_by(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.03 : 0.001)));
  }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const step = TURN * Math.PI / 180;
    const actions = {
      ArrowLeft: () => turn(-step, 0), ArrowRight: () => turn(step, 0), ArrowUp: () => turn(0, -step), ArrowDown: () => turn(0, step),
      "+": () => zoom_by(1.15), "=": () => zoom_by(1.15), "-": () => zoom_by(1 / 1.15), Home: reset,
    };
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    action();
  });

  for (const button of root.querySelectorAll("[data-axis]")) {
    button.addEventListener("click", () => { frame = AXES[button.dataset.axis]; redraw(); });
  }
  for (const button of root.querySelectorAll(".element")) {
    const place = elements.findIndex(element => element.symbol === button.dataset.element);
    button.querySelector(".disc").style.background = `rgb(${elements[place].color})`;
    button.addEventListener("click", () => {
      shown[place] = !shown[place];
      button.setAttribute("aria-pressed", shown[place]);
      redraw();
    });
  }
  const slider = (name, set) => get(name).addEventListener("input", event => { set(event.target.value / 100); redraw(); });
  slider("cut", part => { cut = part; });
  slider("size", part => { size = part; });

  const ends = [get("low"), get("high")];
  function paint_ramp() {
    const paint = get("ramp").getContext("2d"), { width, height } = get("ramp"), colors = ramp();
    for (let x = 0; x < width; x++) {
      paint.fillStyle = `rgb(${colors[Math.round(x / (width - 1) * (colors.length - 1))]})`;
      paint.fillRect(x, 0, 1, height);
    }
    redraw();
  }
  get("colour").addEventListener("change", event => {
    column = Number(event.target.value);
    get("bar").hidden = column < 0;
    root.classList.toggle("by-value", column >= 0);
    if (column < 0) return redraw();
    const known = columns[column].values.filter(value => value !== null);
    const [low, high] = known.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
    // zero is in the middle where values have both signs
    const most = Math.max(-low, high);
    range = known.length === 0 ? [0, 1] : low < 0 && high > 0 ? [-most, most] : [low, high];
    ends.forEach((input, i) => { input.value = Number(range[i].toPrecision(4)); });
    const unit = columns[column].label.match(/\[(.*)\]$/);
    get("unit").textContent = (unit ? unit[1] : "") + (known.length < count ? " (grey: none)" : "");
    paint_ramp();
  });
  ends.forEach((input, i) => input.addEventListener("change", () => {
    if (Number.isFinite(input.valueAsNumber)) range[i] = input.valueAsNumber;
    paint_ramp();
  }));

  new ResizeObserver(redraw).observe(canvas);
  draw();
}

document.querySelectorAll(".atoms").forEach(view);
