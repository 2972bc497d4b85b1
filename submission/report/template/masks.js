// Masks: load a video's script when it is needed, decode its run lengths, trace outlines.

const report = { loading: new Map(), arrived: new Map() };

// Each video's file calls this. A script tag works where fetch() does not: on a page from disk.
report.take = (number, content) => report.arrived.set(number, content);

function loadVideo(number) {
  if (!report.loading.has(number)) {
    report.loading.set(number, Promise.all([loadScript(number), loadSheet(number)]));
  }
  return report.loading.get(number);
}

function loadScript(number) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = data.videos[number].files[0];
    script.onload = () => resolve(report.arrived.get(number));
    script.onerror = () => reject(new Error(`${script.src} is missing; make the report again.`));
    document.head.append(script);
  });
}

function loadSheet(number) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error(`${image.src} is missing; make the report again.`));
    image.src = data.videos[number].files[1];
  });
}

// The masks of one sentence: a grid of labels for each frame; bit k of a label is layer k.
class Masks {
  static async decode(sentence, count) {
    return new Masks(sentence.grid, sentence.palette, await inflate(sentence.masks), count);
  }

  constructor([height, width], palette, bytes, count) {
    this.height = height;
    this.width = width;
    const numbers = readNumbers(bytes);
    const runs = numbers[0];
    this.lengths = numbers.subarray(1, runs + 1);
    this.labels = numbers.subarray(runs + 1).map((place) => palette[place]);
    this.firsts = firstRuns(this.lengths, height * width, count);
    this.outlines = new Map();
  }

  // Cells of one layer in one frame, with an empty border of one cell: 0 or 1, row by row.
  cells(frame, bit) {
    const stride = this.width + 2;
    const cells = new Uint8Array(stride * (this.height + 2));
    let place = 0;
    for (let run = this.firsts[frame]; run < this.firsts[frame + 1]; run += 1) {
      const end = place + this.lengths[run];
      if ((this.labels[run] >> bit) & 1) {
        for (let cell = place; cell < end; cell += 1) {
          const column = Math.floor(cell / this.height);
          cells[((cell % this.height) + 1) * stride + column + 1] = 1;
        }
      }
      place = end;
    }
    return cells;
  }

  // A path in a unit square that is stretched over the frame.
  outline(frame, bit) {
    const key = frame * 64 + bit;
    if (!this.outlines.has(key)) {
      const loops = traceLoops(this.cells(frame, bit), this.width + 2);
      this.outlines.set(key, toPath(loops, this.width, this.height));
    }
    return this.outlines.get(key);
  }
}

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Seven bits a byte, low bits first; the high bit says that the number goes on.
function readNumbers(bytes) {
  const numbers = [];
  let number = 0;
  let factor = 1;
  for (const byte of bytes) {
    number += (byte & 0x7f) * factor;
    factor *= 128;
    if (byte < 0x80) {
      numbers.push(number);
      number = 0;
      factor = 1;
    }
  }
  return Uint32Array.from(numbers);
}

// The index of the first run of each frame, and the number of runs at the end.
function firstRuns(lengths, cells, count) {
  const firsts = [0];
  let place = 0;
  lengths.forEach((length, run) => {
    place += length;
    if (place === firsts.length * cells) firsts.push(run + 1);
  });
  if (firsts.length !== count + 1) throw new Error("These masks do not belong to this video.");
  return firsts;
}

// Follow the border between cells with 1 on the right hand and cells with 0 on the left; the
// points are the middles of the cell sides on the way.
function traceLoops(cells, stride) {
  const steps = [1, stride, -1, -stride]; // right, down, left, up
  const seen = new Uint8Array(cells.length); // upper sides that belong to a loop already
  const loops = [];
  for (let start = stride; start < cells.length; start += 1) {
    if (!cells[start] || cells[start - stride] || seen[start]) continue;
    const loop = [];
    let cell = start; // the inner cell of the current side
    let way = 0;
    do {
      if (way === 0) seen[cell] = 1;
      loop.push(middleOfSide(cell, way, stride));
      const ahead = cell + steps[way];
      const left = ahead + steps[(way + 3) % 4];
      if (cells[left]) {
        cell = left;
        way = (way + 3) % 4;
      } else if (cells[ahead]) {
        cell = ahead;
      } else {
        way = (way + 1) % 4;
      }
    } while (cell !== start || way !== 0);
    loops.push(loop);
  }
  return loops;
}

// Walking right the side is the upper one of the cell, walking down the right one, and so on.
function middleOfSide(cell, way, stride) {
  const x = (cell % stride) - 1;
  const y = Math.floor(cell / stride) - 1;
  return [[x + 0.5, y], [x + 1, y + 0.5], [x + 0.5, y + 1], [x, y + 0.5]][way];
}

function toPath(loops, width, height) {
  const path = new Path2D();
  for (const loop of loops) {
    smooth(smooth(loop)).forEach(([x, y], index) => {
      if (index === 0) path.moveTo(x / width, y / height);
      else path.lineTo(x / width, y / height);
    });
    path.closePath();
  }
  return path;
}

function smooth(loop) {
  return loop.map(([x, y], index) => {
    const [ax, ay] = loop.at(index - 1);
    const [bx, by] = loop[(index + 1) % loop.length];
    return [(ax + 2 * x + bx) / 4, (ay + 2 * y + by) / 4];
  });
}
