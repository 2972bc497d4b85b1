// One sentence: its stage, scrubber, layers, strip of frames and answers.

const FRAMES_PER_SECOND = 10;

class Viewer {
  constructor() {
    for (const id of ["stage", "state", "scrubber", "frame", "play", "keys", "curve", "strip"]) {
      this[id] = document.getElementById(id);
    }
    this.hidden = new Set();
    this.view = null;
    this.time = 0;
    this.timer = null;
    this.makeLayers();
    this.scrubber.oninput = () => this.show(Number(this.scrubber.value));
    this.play.onclick = () => this.toggle();
    new ResizeObserver(() => this.draw()).observe(this.stage);
  }

  makeLayers() {
    const group = document.getElementById("layers");
    data.layers.forEach((layer, number) => {
      const label = element("label", "layer");
      const box = element("input");
      box.type = "checkbox";
      box.checked = true;
      box.onchange = () => this.setLayer(layer, box.checked);
      label.append(box, swatch(layer), element("span", "", layer.name));
      if (number < 9) label.append(element("kbd", "", String(number + 1)));
      group.append(label);
    });
  }

  setLayer(layer, isShown) {
    if (isShown) this.hidden.delete(layer);
    else this.hidden.add(layer);
    this.draw();
  }

  // Show the texts at once and the pictures when they have come, unless another one was opened.
  async open(entry) {
    this.stop();
    this.entry = entry;
    this.view = null;
    document.getElementById("where").textContent = `${entry.video.name} · ${entry.sentence.id}`;
    document.getElementById("sentence").textContent = entry.sentence.text;
    this.stage.style.setProperty("--ratio", entry.video.width / entry.video.height);
    this.state.textContent = "Loading";
    try {
      const [content, sheet] = await loadVideo(entry.number);
      const made = content.sentences[entry.place];
      const masks = await Masks.decode(made, entry.video.count);
      if (this.entry !== entry) return;
      const keys = new Set(made.answers.flatMap((answer) => answer?.keys ?? []));
      const { video, sentence } = entry;
      this.view = { video, sentence, content, sheet, made, masks, keys };
    } catch (error) {
      if (this.entry === entry) this.state.textContent = error.message;
      return;
    }
    this.state.textContent = "";
    this.scrubber.max = entry.video.count - 1;
    this.drawKeys();
    this.drawCurves();
    drawStrip(this.strip, this.view, data.layers, (frame) => this.show(frame));
    this.showAnswers();
    this.show(Math.min(this.time, entry.video.count - 1));
  }

  show(time) {
    this.time = time;
    this.scrubber.value = time;
    this.draw();
  }

  draw() {
    if (!this.view) return;
    const { content, video, made } = this.view;
    const layers = data.layers.filter((layer) => !this.hidden.has(layer));
    drawStage(this.stage, this.view, this.time, layers);
    this.frame.textContent = `${this.time + 1} / ${video.count}`;
    this.scrubber.setAttribute("aria-valuetext", `frame ${content.frames[this.time]}`);
    const facts = [`frame ${content.frames[this.time]}`];
    if (made.curves.vote) facts.push(`J ${percent(made.curves.vote[this.time])} (blue)`);
    if (made.curves.agreement) {
      facts.push(`agreement ${percent(made.curves.agreement[this.time])} (grey)`);
    }
    if (this.view.keys.has(this.time)) {
      facts.push(`key frame of ${namesOfKey(this.view, this.time).join(", ")}`);
    }
    document.getElementById("legend-curve").textContent = facts.join(" · ");
  }

  step(by) {
    this.stop();
    const last = this.entry.video.count - 1;
    this.show(Math.max(0, Math.min(last, this.time + by)));
  }

  toggle() {
    if (this.timer) {
      this.stop();
      return;
    }
    this.play.textContent = "❚❚";
    this.play.setAttribute("aria-label", "Pause");
    const next = () => this.view && this.show((this.time + 1) % this.view.video.count);
    this.timer = setInterval(next, 1000 / FRAMES_PER_SECOND);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "▶";
    this.play.setAttribute("aria-label", "Play");
  }

  drawKeys() {
    const last = Math.max(1, this.view.video.count - 1);
    const rows = data.layers.filter((layer) => keysOf(this.view, layer).length);
    this.keys.replaceChildren(
      ...rows.map((layer) => {
        const row = element("div");
        row.title = `key frames of ${layer.name}`;
        for (const key of keysOf(this.view, layer)) {
          const mark = element("i");
          mark.style.left = `${(100 * key) / last}%`;
          mark.style.background = styleOf(layer).colour;
          row.append(mark);
        }
        return row;
      }),
    );
  }

  drawCurves() {
    const curves = this.view.made.curves;
    this.curve.replaceChildren(
      ...["agreement", "vote"].filter((name) => curves[name]).map((name) => {
        const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
        const last = Math.max(1, curves[name].length - 1);
        const points = curves[name].map((value, time) => `${time / last},${1 - value}`);
        line.setAttribute("points", points.join(" "));
        line.setAttribute("class", name);
        return line;
      }),
    );
  }

  showAnswers() {
    const list = document.getElementById("answers");
    list.replaceChildren();
    for (const layer of data.layers.filter(({ member }) => member !== null)) {
      const answer = this.view.made.answers[layer.member];
      const words = answer ? answer.text || "given masks, no text" : "no answer";
      const name = element("dt");
      name.append(swatch(layer), element("b", "", layer.name));
      list.append(name, element("dd", answer?.text ? "" : "none", words));
    }
    const { gate } = this.view.sentence;
    if (!gate) return;
    const name = element("dt");
    name.append(element("b", "", gate.emptied ? "gate: emptied" : "gate: kept"));
    const evidence = Object.entries(gate.evidence).map(([kind, value]) => `${kind} ${value.toFixed(3)}`);
    const words = [`P(no target) ${gate.p_no_target.toFixed(3)}`, ...evidence].join(" · ");
    list.append(name, element("dd", "", words));
  }
}
