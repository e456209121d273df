import type { FilledDatanet } from './datanets.ts'

interface Paid {
  shares: { payee: string; amount: string }[]
  attribution: {
    unattributed: string
    spans: { owners: { contributor: string }[] }[]
    influence: { contributor: string; score: string }[]
  }
}

/** Who was paid, how much and why, one contributor a line; amounts in OPEN. */
export const payTable = (
  datanets: readonly FilledDatanet[],
  paid: readonly Paid[],
  payees: readonly { name: string; accrued: string; paid: string }[],
): string => {
  const header = ['datanet', 'contributor', 'rows', 'spans', 'influence', 'earned', 'on chain']
  const lines = datanets.flatMap(({ recipe, contributors }) =>
    contributors.map(({ person, rows }) => {
      const spans = paid
        .flatMap(({ attribution }) => attribution.spans)
        .filter(({ owners }) => owners[0]?.contributor === person.accountId).length
      const influence = paid
        .flatMap(({ attribution }) => attribution.influence)
        .filter(({ contributor }) => contributor === person.accountId)
        .reduce((sum, { score }) => sum + BigInt(score), 0n)
      const payee = payees.find(({ name }) => name === person.name)!
      return [
        recipe.name,
        person.name,
        String(rows),
        String(spans),
        (Number(influence) / 2 ** 20).toFixed(2),
        open(payee.accrued),
        open(payee.paid),
      ]
    }),
  )
  const widths = header.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]!.length)))
  const print = (line: readonly string[]) =>
    line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
  const residual = paid.reduce((sum, { attribution }) => sum + BigInt(attribution.unattributed), 0n)
  return [
    print(header),
    print(widths.map((width) => '-'.repeat(width))),
    ...lines.map(print),
    `unattributed residual of ${paid.length} answers: ${open(String(residual))} OPEN (refunded, by the Datanets' policy)`,
  ].join('\n')
}

const open = (amount: string): string => {
  const digits = amount.padStart(19, '0')
  return `${digits.slice(0, -18)}.${digits.slice(-18, -12)}`
}
