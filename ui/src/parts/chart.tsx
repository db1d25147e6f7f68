// Columns over time, one color for each series, stacked. The library draws; what is under the pointer is shown here.
// The same numbers stand in a table beside every chart, for those who do not see it.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { dayAndMinute } from "../lib/format";
import { language, theme } from "../lib/settings";
import { heights, marks } from "../lib/stack";

export interface Series {
  name: string;
  values: readonly number[];
  /** A custom property of the style sheet. */
  color: string;
}

interface ChartProps {
  label: string;
  /** Beginnings of the buckets, in Unix seconds. */
  times: readonly number[];
  /** Length of a bucket in seconds. */
  step: number;
  series: readonly Series[];
  format: (value: number) => string;
  /** There are no parts of one. */
  isWhole?: boolean;
  height?: number;
}

/** Distances between marks of what is counted. */
const WHOLE = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

/** A custom property as the canvas wants it. */
function color(host: Element, name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  host.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

interface Pointed {
  at: number;
  left: number;
}

export function Chart({ label, times, step, series, format, isWhole = true, height = 240 }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const look = `${theme.value}${language.value}`;

  // biome-ignore lint/correctness/useExhaustiveDependencies: `look` stands for colors and words
  useEffect(() => {
    const parent = host.current;
    if (!parent || times.length === 0) return;
    const stacked = heights(series.map((one) => one.values));
    const axis: uPlot.Axis = {
      stroke: color(parent, "--muted"),
      grid: { stroke: color(parent, "--line"), width: 1 },
      ticks: { show: false },
      font: `11px ${getComputedStyle(parent).fontFamily}`,
      gap: 6,
    };
    const columns = uPlot.paths.bars?.({ size: [0.72, 46], align: 1 });
    const options: uPlot.Options = {
      width: parent.clientWidth,
      height,
      legend: { show: false },
      padding: [10, 18, 0, 0],
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { time: true, range: () => [times[0] ?? 0, (times.at(-1) ?? 0) + step] },
        y: { range: (_chart, _low, high) => [0, marks(high)] },
      },
      axes: [
        { ...axis, size: 26, grid: { show: false }, values: stamps(times, step) },
        {
          ...axis,
          size: 52,
          ...(isWhole ? { incrs: WHOLE } : {}),
          values: (_chart, values) => values.map((value) => format(value)),
        },
      ],
      // The tallest sum is drawn first, so that the others lie over it.
      series: [
        {},
        ...series.map((one, at) => {
          const fill = color(parent, one.color);
          const drawn: uPlot.Series = {
            label: one.name,
            fill,
            stroke: fill,
            width: 0,
            points: { show: false },
          };
          if (columns) drawn.paths = columns;
          return { ...drawn, show: at < series.length };
        }),
      ],
      hooks: {
        setCursor: [
          (chart) => {
            const at = chart.cursor.idx;
            const left = chart.cursor.left ?? -1;
            setPointed(at === null || at === undefined || left < 0 ? null : { at, left: left + 52 });
          },
        ],
      },
    };
    // A column belongs to the pointer from its left edge to the next one, not from half way before it.
    options.cursor = {
      ...options.cursor,
      dataIdx: (chart) => {
        const x = chart.posToVal(chart.cursor.left ?? 0, "x");
        return Math.max(0, Math.min(times.length - 1, Math.floor((x - (times[0] ?? 0)) / step)));
      },
    };
    const data = [times, ...stacked.toReversed()] as unknown as uPlot.AlignedData;
    options.series = [options.series[0] ?? {}, ...options.series.slice(1).toReversed()];
    const chart = new uPlot(options, data, parent);
    const watching = new ResizeObserver(() => chart.setSize({ width: parent.clientWidth, height }));
    watching.observe(parent);
    return () => {
      watching.disconnect();
      chart.destroy();
      setPointed(null);
    };
  }, [times, step, series, height, look]);

  return (
    <div class="chart" style={{ minHeight: `${height}px` }} role="img" aria-label={label}>
      <div ref={host} />
      {pointed && (
        <Tooltip
          pointed={pointed}
          times={times}
          series={series}
          format={format}
          width={host.current?.clientWidth ?? 0}
        />
      )}
    </div>
  );
}

/** Dates below wide columns, times below narrow ones. */
function stamps(times: readonly number[], step: number): uPlot.Axis.Values {
  const span = (times.at(-1) ?? 0) - (times[0] ?? 0);
  return (_chart, splits) =>
    splits.map((split) => {
      const text = dayAndMinute(split * 1000, language.value);
      const [date = text, time = ""] = text.split(/,? (?=\d\d:)/);
      return step >= 86_400 || span > 4 * 86_400 ? date : time === "00:00" ? date : time;
    });
}

function Tooltip(props: {
  pointed: Pointed;
  times: readonly number[];
  series: readonly Series[];
  format: (value: number) => string;
  width: number;
}) {
  const { at, left } = props.pointed;
  const rows = props.series
    .map((one) => ({ ...one, value: one.values[at] ?? 0 }))
    .filter((one) => one.value > 0);
  const isRight = left > props.width * 0.55;
  return (
    <div
      class="tooltip"
      style={{
        top: "8px",
        ...(isRight ? { right: `${props.width - left + 12}px` } : { left: `${left + 12}px` }),
      }}
    >
      <div class="muted">{dayAndMinute((props.times[at] ?? 0) * 1000, language.value)}</div>
      <ul>
        {rows.length === 0 && <li>–</li>}
        {rows.map((one) => (
          <li key={one.name}>
            <Swatch color={one.color} />
            <span class="clip">{one.name}</span>
            <strong>{props.format(one.value)}</strong>
          </li>
        ))}
      </ul>
    </div>
  );
}

export function Swatch({ color: name }: { color: string }) {
  return <span class="swatch" style={{ background: `var(${name})` }} />;
}

export function Legend({ series }: { series: readonly Series[] }) {
  return (
    <ul class="legend">
      {series.map((one) => (
        <li key={one.name}>
          <Swatch color={one.color} />
          {one.name}
        </li>
      ))}
    </ul>
  );
}
