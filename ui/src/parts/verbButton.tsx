// A button for something that may be forbidden or pointless now: it can always be reached, and says why it does nothing.
import { Button, type ButtonProps, Tooltip } from "@mantine/core";
import { type ReactElement, type ReactNode, useId } from "react";

interface Props extends ButtonProps {
  /** "" when it can be pressed */
  why: string;
  onClick: () => void;
  children: ReactNode;
}

export function VerbButton({ why, onClick, children, ...rest }: Props): ReactElement {
  const id = useId();
  const isOff = why !== "";
  return (
    <>
      <Tooltip label={why} disabled={!isOff} withArrow multiline maw={320} events={{ hover: true, focus: true, touch: true }}>
        <Button {...rest} aria-disabled={isOff} data-disabled={isOff || undefined} aria-describedby={isOff ? id : undefined} onClick={isOff ? undefined : onClick}>
          {children}
        </Button>
      </Tooltip>
      {isOff ? <span id={id} className="hidden">{why}</span> : null}
    </>
  );
}
