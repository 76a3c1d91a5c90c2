// What the keyboard does, on one sheet.
import { Modal } from "@mantine/core";
import type { ReactElement } from "react";
import { texts } from "../texts/en";

export function KeysDialog({ onClose }: { onClose: () => void }): ReactElement {
  return (
    <Modal opened onClose={onClose} centered title={texts.keys.title} closeButtonProps={{ "aria-label": texts.common.close }}>
      {texts.keys.groups.map((group) => (
        <section key={group.title} style={{ marginBottom: 12 }}>
          <h3>{group.title}</h3>
          <dl className="kv">
            {group.keys.map(([keys, what]) => (
              <div key={what} style={{ display: "contents" }}>
                <dt>{keys.split(" ").map((each) => <kbd key={each}>{each}</kbd>)}</dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Modal>
  );
}
