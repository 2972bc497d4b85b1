// Draw frames with masks over them: the stage, and the strip with one row for each layer.

const STRIP_FRAMES = 8;
// Okabe and Ito's colours, told apart with any kind of colour vision; layers also differ in line.
const EXPERT_COLOURS = ["#e69f00", "#cc79a7", "#009e73", "#d55e00", "#f0e442", "#0072b2"];
const CASING = "rgba(0, 0, 0, 0.6)"; // around every line, so that it is seen on any picture

function styleOf(layer) {
  if (layer.kind === "vote") return { colour: "#56b4e9", fill: 0.42, line: 2, dash: [] };
  if (layer.kind === "truth") return { colour: "#ffffff", fill: 0, line: 2, dash: [7, 5] };
  const round = Math.floor(layer.bit / EXPERT_COLOURS.length);
  const dash = [[], [10, 3], [3, 3]][round % 3];
  return { colour: EXPERT_COLOURS[layer.bit % EXPERT_COLOURS.length], fill: 0, line: 1.75, dash };
}

// Make the canvas as fine as the screen; return its context in units of CSS pixels.
function prepare(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
  context.imageSmoothingQuality = "high";
  return context;
}

function drawFrame(context, view, frame, width, height) {
  const [tileWidth, tileHeight] = view.video.tile;
  const column = frame % view.video.columns;
  const row = Math.floor(frame / view.video.columns);
  // Half a pixel inside the tile, so that smoothing takes nothing of its neighbours.
  context.drawImage(
    view.sheet, column * tileWidth + 0.5, row * tileHeight + 0.5, tileWidth - 1, tileHeight - 1,
    0, 0, width, height,
  );
}

function drawLayer(context, view, frame, layer, width, height, alone = false) {
  const style = styleOf(layer);
  const path = new Path2D();
  path.addPath(view.masks.outline(frame, layer.bit), new DOMMatrix([width, 0, 0, height, 0, 0]));
  const fill = alone ? 0.45 : style.fill;
  if (fill) {
    context.globalAlpha = fill;
    context.fillStyle = style.colour;
    context.fill(path, "evenodd");
    context.globalAlpha = 1;
  }
  context.lineJoin = "round";
  context.setLineDash([]);
  context.strokeStyle = CASING;
  context.lineWidth = (alone ? 1 : style.line) + 1.5;
  context.stroke(path);
  context.setLineDash(alone ? [] : style.dash);
  context.strokeStyle = style.colour;
  context.lineWidth = alone ? 1.25 : style.line;
  context.stroke(path);
}

function drawStage(canvas, view, frame, layers) {
  const width = canvas.clientWidth;
  const height = (width * view.video.height) / view.video.width;
  const context = prepare(canvas, width, height);
  drawFrame(context, view, frame, width, height);
  const order = ["vote", "expert", "truth"];
  const shown = [...layers].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  for (const layer of shown) drawLayer(context, view, frame, layer, width, height);
}

// Frames spread evenly over the video, each moved to a key frame where one is near.
function stripFrames(count, keys) {
  const columns = Math.min(STRIP_FRAMES, count);
  const step = columns > 1 ? (count - 1) / (columns - 1) : 0;
  const frames = [];
  for (let column = 0; column < columns; column += 1) {
    const even = Math.round(column * step);
    const near = [...keys].filter((key) => Math.abs(key - even) < step / 2 && !frames.includes(key));
    near.sort((a, b) => Math.abs(a - even) - Math.abs(b - even));
    frames.push(near.length ? near[0] : even);
  }
  return frames;
}

function drawStrip(strip, view, layers, onChoose) {
  const frames = stripFrames(view.video.count, view.keys);
  strip.style.setProperty("--columns", frames.length);
  strip.replaceChildren(element("span", "corner"));
  for (const frame of frames) {
    const head = element("button", "moment", view.content.frames[frame]);
    head.type = "button";
    head.onclick = () => onChoose(frame);
    if (view.keys.has(frame)) {
      head.classList.add("key");
      head.title = `key frame of ${namesOfKey(view, frame).join(", ")}`;
    }
    strip.append(head);
  }
  for (const layer of [...layers].reverse()) {
    strip.append(stripLabel(view, layer));
    for (const frame of frames) strip.append(stripPicture(view, layer, frame, onChoose));
  }
}

function stripLabel(view, layer) {
  const label = element("span", "name");
  const score = view.sentence.scores[data.layers.indexOf(layer)];
  label.append(swatch(layer), element("b", "", layer.name));
  if (score) label.append(element("small", "", `J&F ${percent(meanOf(score))}`));
  return label;
}

function stripPicture(view, layer, frame, onChoose) {
  const canvas = element("canvas", "picture");
  const width = 148;
  const height = (width * view.video.height) / view.video.width;
  const context = prepare(canvas, width, height);
  drawFrame(context, view, frame, width, height);
  drawLayer(context, view, frame, layer, width, height, true);
  canvas.title = `${layer.name}, frame ${view.content.frames[frame]}`;
  canvas.onclick = () => onChoose(frame);
  return canvas;
}

function namesOfKey(view, frame) {
  return data.layers
    .filter((layer) => layer.member !== null && keysOf(view, layer).includes(frame))
    .map((layer) => layer.name);
}

function keysOf(view, layer) {
  return view.made.answers[layer.member]?.keys ?? [];
}

// A line as the layer is drawn, for legends.
function swatch(layer) {
  const style = styleOf(layer);
  const box = element("i", "swatch");
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 22 12");
  for (const [stroke, width, dash] of [
    ["rgba(0, 0, 0, 0.4)", style.line + 1.5, []],
    [style.colour, style.line + 0.5, style.dash.map((length) => length / 1.6)],
  ]) {
    const shape = document.createElementNS(namespace, "rect");
    for (const [name, value] of Object.entries({
      x: 3, y: 2.5, width: 16, height: 7, rx: 3, stroke, "stroke-width": width,
      "stroke-dasharray": dash.join(" ") || "none",
      fill: style.fill && width < style.line + 1 ? style.colour : "none", "fill-opacity": 0.6,
    })) shape.setAttribute(name, value);
    svg.append(shape);
  }
  box.append(svg);
  return box;
}

// Text is only ever set as text: sentences and names come from outside.
function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function percent(share) {
  return (100 * share).toFixed(1);
}

function meanOf([j, f]) {
  return (j + f) / 2;
}
