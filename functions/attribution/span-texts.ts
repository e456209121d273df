import type { Caller } from '#schema/accounts'
import type { Datanet } from '#schema/datanets'
import type { Billing, ProvenanceSpan, Transcript } from '#schema/receipt'

export interface Audience {
  spanTexts: Datanet['spanTexts']
  isMember: boolean
}

/**
 * Texts of the spans as this caller may see them, in their order; null where a Datanet keeps one back. The payer sees all:
 * it is the answer that they were given. To others a span shows a piece of that answer only because it stands in
 * somebody's row: every Datanet among the owners that the receipt names must allow it (`public`: every reader of the
 * receipt; `members`: its members; `contributor`: nobody else), or the row must be the caller's own.
 */
export const spanTexts = (
  caller: Caller,
  { payer }: Pick<Billing, 'payer'>,
  spans: readonly ProvenanceSpan[],
  { choices }: Pick<Transcript, 'choices'>,
  audiences: ReadonlyMap<string, Audience>,
): (string | null)[] =>
  spans.map(({ owners, startChar, endChar, choice = 0 }) => {
    const mayRead =
      caller.accountId === payer ||
      owners.some(({ contributor }) => contributor === caller.accountId) ||
      (owners.length > 0 && owners.every(({ datanetId }) => opens(audiences.get(datanetId))))
    return mayRead ? (choices[choice]?.outputText.slice(startChar, endChar) ?? null) : null
  })

/** A Datanet that is not known keeps its texts. */
const opens = (audience: Audience | undefined): boolean =>
  audience?.spanTexts === 'public' || (audience?.spanTexts === 'members' && audience.isMember)
