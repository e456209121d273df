import { expect, it } from 'vitest'
import { type Audience, spanTexts } from '../../../functions/attribution/span-texts.ts'
import type { Caller } from '../../../functions/schema/accounts.ts'
import type { ProvenanceSpan } from '../../../functions/schema/receipt.ts'

const id = (prefix: string, n: number) => `${prefix}_${String(n).padStart(24, '0')}`
const [payer, writer, reader] = [id('acc', 1), id('acc', 2), id('acc', 3)]
const [open, club] = [id('dn', 1), id('dn', 2)]
const outputText = '🦊 says: the quick brown fox'
const caller = (accountId: string): Caller => ({ kind: 'person', accountId, operator: false, name: '' })
const owner = (datanetId: string, contributor = writer) => ({
  row: id('row', 1),
  cluster: id('row', 1),
  datanetId,
  contributor,
  sequence: 1,
})
const span = (startChar: number, endChar: number, owners: ReturnType<typeof owner>[], choice?: number) =>
  ({ startChar, endChar, owners, ...(choice ? { choice } : {}) }) as ProvenanceSpan
const spans = [
  span(0, 2, [owner(open)]),
  span(9, 18, [owner(club)]),
  span(3, 7, [owner(open), owner(club)]),
  span(0, 6, [owner(open)], 1),
]
const transcript = { choices: [outputText, 'second choice'].map((text) => ({ outputText: text })) } as never
const texts = (accountId: string, clubPolicy: Audience) =>
  spanTexts(
    caller(accountId),
    { payer },
    spans,
    transcript,
    new Map([
      [open, { spanTexts: 'public', isMember: false }],
      [club, clubPolicy],
    ]),
  )
const ALL = ['🦊', 'the quick', 'says', 'second']

it('the payer sees every text, whole characters, of the right choice', () => {
  expect(texts(payer, { spanTexts: 'contributor', isMember: false })).toEqual(ALL)
})

it('others see what every owning Datanet allows', () => {
  expect(texts(reader, { spanTexts: 'members', isMember: false })).toEqual(['🦊', null, null, 'second'])
  expect(texts(reader, { spanTexts: 'members', isMember: true })).toEqual(ALL)
  expect(texts(reader, { spanTexts: 'contributor', isMember: true })).toEqual(['🦊', null, null, 'second'])
  expect(texts(reader, { spanTexts: 'public', isMember: false })).toEqual(ALL)
})

it('a contributor sees the texts that stand in their own rows', () => {
  expect(texts(writer, { spanTexts: 'contributor', isMember: false })).toEqual(ALL)
})

it('an unknown Datanet and a span whose owners are not named keep their texts', () => {
  const told = spanTexts(caller(reader), { payer }, [span(0, 2, []), spans[1]!], transcript, new Map())
  expect(told).toEqual([null, null])
})
