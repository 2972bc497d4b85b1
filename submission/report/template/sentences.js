// The list of sentences: search, sort, filter, and which one is open.

class SentenceList {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.voteLayer = data.layers.findIndex((layer) => layer.kind === "vote");
    this.truthLayer = data.layers.find((layer) => layer.kind === "truth");
    this.entries = data.videos.flatMap((video, number) =>
      video.sentences.map((sentence, place) => this.makeEntry(video, number, sentence, place)),
    );
    this.entries.forEach((entry, order) => (entry.order = order));
    this.shown = this.entries;
    this.open = null;
    this.search = document.getElementById("search");
    this.sort = document.getElementById("sort");
    this.filter = document.getElementById("filter");
    this.fillChoices();
    this.search.oninput = this.sort.onchange = this.filter.onchange = () => this.update();
  }

  makeEntry(video, number, sentence, place) {
    const score = sentence.scores[this.voteLayer];
    const vote = data.layers[this.voteLayer].bit;
    return {
      video, number, sentence, place,
      address: `${encodeURIComponent(video.name)}/${encodeURIComponent(sentence.id)}`,
      score: score ? meanOf(score) : null,
      agreement: sentence.agreement,
      isEmpty: sentence.empty.includes(vote),
      hasNoTarget: this.truthLayer ? sentence.empty.includes(this.truthLayer.bit) : false,
      isEmptied: sentence.gate?.emptied ?? false,
      words: `${video.name} ${sentence.id} ${sentence.text}`.toLocaleLowerCase(),
    };
  }

  fillChoices() {
    this.hasGate = this.entries.some((entry) => entry.sentence.gate);
    const ascending = (key) => (a, b) => (a[key] ?? 2) - (b[key] ?? 2);
    const has = (key) => this.entries.some((entry) => entry[key] !== null);
    this.orders = {
      ...(has("score") && { "Worst first": ascending("score") }),
      ...(has("score") && { "Best first": (a, b) => (b.score ?? -1) - (a.score ?? -1) }),
      ...(has("agreement") && { "Disagreement first": ascending("agreement") }),
      "By video": (a, b) => a.order - b.order,
      "By word": (a, b) => a.sentence.text.localeCompare(b.sentence.text),
    };
    this.filters = {
      "All sentences": () => true,
      "Without any mask": (entry) => entry.isEmpty,
      ...(this.truthLayer && { "Without a target": (entry) => entry.hasNoTarget }),
      ...(this.hasGate && { "Emptied by the gate": (entry) => entry.isEmptied }),
      ...(this.hasGate && this.truthLayer && {
        "Emptied wrongly": (entry) => entry.isEmptied && !entry.hasNoTarget,
        "Not emptied, without a target": (entry) =>
          !entry.isEmptied && !entry.isEmpty && entry.hasNoTarget,
      }),
    };
    for (const name of Object.keys(this.orders)) this.sort.append(new Option(name));
    for (const name of Object.keys(this.filters)) this.filter.append(new Option(name));
  }

  showEmpty() {
    this.search.value = "";
    this.filter.value = "Without any mask";
    this.update();
  }

  // Every word of the search has to occur, in any order.
  update() {
    const words = this.search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const order = this.orders[this.sort.value];
    this.shown = this.entries
      .filter(this.filters[this.filter.value])
      .filter((entry) => words.every((word) => entry.words.includes(word)))
      .sort((a, b) => order(a, b) || a.order - b.order);
    const rows = this.shown.map((entry) => this.row(entry));
    document.getElementById("sentences").replaceChildren(...rows);
    const all = this.entries.length;
    document.getElementById("count").textContent =
      rows.length === all ? `${all} sentences` : `${rows.length} of ${all} sentences`;
  }

  row(entry) {
    if (!entry.row) {
      const button = element("button");
      button.type = "button";
      button.append(element("span", "text", entry.sentence.text));
      if (entry.score !== null) button.append(element("b", "score", percent(entry.score)));
      const about = [entry.video.name, entry.sentence.id];
      if (entry.agreement !== null) about.push(`agreement ${percent(entry.agreement)}`);
      if (entry.isEmptied) about.push("emptied by the gate");
      else if (entry.isEmpty) about.push("no mask");
      if (entry.hasNoTarget) about.push("no target");
      button.append(element("small", "", about.join(" · ")));
      if (entry.score !== null) {
        const bar = element("span", "meter");
        bar.style.setProperty("--share", entry.score);
        button.append(bar);
      }
      button.onclick = () => this.choose(entry, true);
      entry.row = element("li");
      entry.row.append(button);
    }
    return entry.row;
  }

  choose(entry, byHand = false) {
    if (this.open) this.open.row?.firstChild.removeAttribute("aria-current");
    this.open = entry;
    const button = this.row(entry).firstChild;
    button.setAttribute("aria-current", "true");
    const list = document.getElementById("sentences");
    const above = entry.row.offsetTop - list.offsetTop;
    if (above < list.scrollTop || above + entry.row.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = above - list.clientHeight / 3;
    }
    history.replaceState(null, "", `#${entry.address}`);
    this.onOpen(entry, byHand);
  }

  step(by) {
    const place = this.shown.indexOf(this.open);
    const next = this.shown[place + by];
    if (next) this.choose(next);
  }

  start() {
    this.update();
    const wanted = location.hash.slice(1);
    const entry = this.entries.find(({ address }) => address === wanted) ?? this.shown[0];
    this.choose(entry);
  }
}
