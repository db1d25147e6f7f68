// The small parts that every page is made of: buttons, badges, fields, empty states.

import type { ButtonHTMLAttributes, ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { t } from "../words";
import { Icon, type IconName } from "./icons";

type ButtonProps = Omit<ButtonHTMLAttributes<HTMLButtonElement>, "icon" | "label"> & {
  icon?: IconName;
  look?: "plain" | "primary" | "danger" | "quiet";
  /** For buttons that show their icon alone. */
  label?: string;
  isBusy?: boolean;
  children?: ComponentChildren;
};

export function Button({ icon, look = "plain", label, isBusy = false, children, ...rest }: ButtonProps) {
  const shape = children === undefined ? " square" : "";
  return (
    <button
      type="button"
      class={`button ${look}${shape}`}
      aria-label={label}
      title={label}
      aria-busy={isBusy}
      {...rest}
      disabled={rest.disabled === true || isBusy}
    >
      {isBusy ? <Spinner /> : icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

export function Spinner() {
  return <span class="spinner" aria-hidden="true" />;
}

export type Tone = "good" | "warn" | "bad" | "info" | "none";

export function Badge({ tone = "none", children }: { tone?: Tone; children: ComponentChildren }) {
  return (
    <span class={`badge ${tone}`}>
      <span class="dot" aria-hidden="true" />
      {children}
    </span>
  );
}

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  isWide?: boolean;
  /** Gets the ids that tie the control to its label and its hint. */
  children: (ids: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => ComponentChildren;
}

export function Field({ label, hint, error, isWide = false, children }: FieldProps) {
  const id = useId();
  const about = `${id}-about`;
  const hasAbout = hint !== undefined || error !== undefined;
  return (
    <div class={`field${isWide ? " wide" : ""}`}>
      <label for={id}>{label}</label>
      {children({
        id,
        ...(hasAbout ? { "aria-describedby": about } : {}),
        ...(error === undefined ? {} : { "aria-invalid": true }),
      })}
      {hasAbout && (
        <p id={about} class={error === undefined ? "hint" : "hint bad"}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

export function Switch(props: {
  label: string;
  isOn: boolean;
  isBusy?: boolean;
  onChange: (isOn: boolean) => void;
}) {
  return (
    <button
      type="button"
      role="switch"
      class="switch"
      aria-checked={props.isOn}
      aria-label={props.label}
      title={props.label}
      disabled={props.isBusy ?? false}
      onClick={() => props.onChange(!props.isOn)}
    >
      <span />
    </button>
  );
}

interface SegmentsProps<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; text: string; icon?: IconName }[];
  onChange: (value: T) => void;
}

/** A choice of few. */
export function Segments<T extends string>({ label, value, options, onChange }: SegmentsProps<T>) {
  const name = useId();
  return (
    <fieldset class="segments">
      <legend class="unseen">{label}</legend>
      {options.map((option) => (
        <label key={option.value} title={option.icon ? option.text : undefined}>
          <input
            type="radio"
            name={name}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          <span>
            {option.icon ? <Icon name={option.icon} /> : option.text}
            {option.icon && <span class="unseen">{option.text}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

interface SearchProps {
  words: string;
  /** What is searched, where that is not plain. */
  hint?: string;
  onChange: (words: string) => void;
}

/** Words by which a list is narrowed. */
export function Search({ words, hint, onChange }: SearchProps) {
  return (
    <div class="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label={t("search")}
        placeholder={hint ?? t("search")}
        value={words}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </div>
  );
}

interface EmptyProps {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
  actions?: ComponentChildren;
}

/** What stands where nothing is yet: what it would be, and what to do. */
export function Empty({ icon, title, children, actions }: EmptyProps) {
  return (
    <div class="empty">
      <span class="medal">
        <Icon name={icon} />
      </span>
      <h3>{title}</h3>
      {children && <div class="prose">{children}</div>}
      {actions && <div class="row">{actions}</div>}
    </div>
  );
}

export function Notice({
  tone,
  children,
  actions,
}: {
  tone: Tone;
  children: ComponentChildren;
  actions?: ComponentChildren;
}) {
  return (
    <div class={`notice ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name={tone === "good" ? "check" : tone === "info" ? "info" : "warning"} />
      <div>{children}</div>
      {actions && <div class="row">{actions}</div>}
    </div>
  );
}

/** A part of a page with a heading. */
export function Panel(props: {
  title?: ComponentChildren;
  about?: ComponentChildren;
  actions?: ComponentChildren;
  isFlush?: boolean;
  children: ComponentChildren;
}) {
  return (
    <section class={`panel${props.isFlush ? " flush" : ""}`}>
      {(props.title !== undefined || props.actions !== undefined) && (
        <header>
          <div>
            {props.title !== undefined && <h2>{props.title}</h2>}
            {props.about !== undefined && <p class="muted">{props.about}</p>}
          </div>
          {props.actions !== undefined && <div class="row">{props.actions}</div>}
        </header>
      )}
      {props.children}
    </section>
  );
}

export function Loading() {
  return (
    <div class="loading" role="status">
      <Spinner />
      <span class="unseen">{t("loading")}</span>
    </div>
  );
}
