import type { Chance } from './chance.ts'
import { BOILERPLATE, bridges, edited, gibberish, mosaics, paraphrased } from './forgeries.ts'
import type { LabAnswer, LabRow, World } from './world.ts'

export const ATTACKER = 'mallory'
/** A wallet of the attacker's that nothing links to it. */
const SECOND_WALLET = 'mallory second wallet'

export interface Scene {
  world: World
  /** Rows of honest contributors, and of the attacker's own honest base. */
  honest: LabRow[]
  own: LabRow[]
  /** Words of the reference text. */
  words: string[]
  random: Chance
}

export interface Attack {
  name: string
  /** `inflation`: same traffic, more rows. `return`: traffic that the attacker pays for itself. */
  kind: 'inflation' | 'return'
  change(scene: Scene): World
  /** Who pockets, beside the attacker. */
  coalition?: string[]
  /** The largest value that the design allows for ours (issue 5). */
  goal?: number
}

const OWN_BATCH = 1_000
const register = ({ world }: Scene, texts: readonly string[], contributor = ATTACKER): World => ({
  ...world,
  rows: [...world.rows, ...texts.map((text) => ({ contributor, text, batch: OWN_BATCH }))],
})
const pay = ({ world }: Scene, answers: LabAnswer[]): World => ({ ...world, answers: [...world.answers, ...answers] })
const times = <Item>(count: number, make: (i: number) => Item): Item[] =>
  Array.from({ length: count }, (_, i) => make(i))
const textsOf = (rows: readonly LabRow[]) => rows.map(({ text }) => text)
const SMALL_FEE = 10n ** 15n
const identities = times(6, (i) => `sybil ${i}`)

export const ATTACKS: Attack[] = [
  {
    name: 'copies of own rows x 20',
    kind: 'inflation',
    goal: 1.05,
    change: (scene) => register(scene, times(20, () => textsOf(scene.own)).flat()),
  },
  {
    name: 'late copies of others’ rows',
    kind: 'inflation',
    goal: 1.05,
    change: (scene) => register(scene, textsOf(scene.honest)),
  },
  {
    name: 'own rows again with 10% edits x 5',
    kind: 'inflation',
    goal: 1.3,
    change: (scene) =>
      register(
        scene,
        times(5, () => textsOf(scene.own).map((text) => edited(text, 0.1, scene.words, scene.random))).flat(),
      ),
  },
  {
    name: 'own rows again with 25% edits x 5',
    kind: 'inflation',
    goal: 1.3,
    change: (scene) =>
      register(
        scene,
        times(5, () => textsOf(scene.own).map((text) => edited(text, 0.25, scene.words, scene.random))).flat(),
      ),
  },
  {
    name: 'others’ rows with 25% edits',
    kind: 'inflation',
    change: (scene) =>
      register(
        scene,
        textsOf(scene.honest).map((text) => edited(text, 0.25, scene.words, scene.random)),
      ),
  },
  {
    name: 'paraphrases of others’ rows',
    kind: 'inflation',
    change: (scene) =>
      register(
        scene,
        textsOf(scene.honest).map((text) => paraphrased(text, scene.random)),
      ),
  },
  {
    name: 'sentence mosaics',
    kind: 'inflation',
    change: (scene) => register(scene, mosaics(textsOf(scene.honest), 40, scene.random)),
  },
  {
    name: 'bridge rows',
    kind: 'inflation',
    change: (scene) => register(scene, bridges(textsOf(scene.honest), 40, scene.random)),
  },
  {
    name: 'flood that makes others’ text common',
    kind: 'inflation',
    change: (scene) =>
      register(
        scene,
        times(9, () => textsOf(scene.honest))
          .flat()
          .map((text) => `${gibberish(120, scene.random)} ${text} ${gibberish(120, scene.random)}`),
      ),
  },
  {
    name: 'one owner as six identities',
    kind: 'inflation',
    goal: 1.05,
    coalition: identities,
    change: ({ world }) => ({
      ...world,
      rows: world.rows.map((row, i) =>
        row.contributor === ATTACKER ? { ...row, contributor: identities[i % 6]! } : row,
      ),
    }),
  },
  {
    name: 'boilerplate stuffing',
    kind: 'inflation',
    change: (scene) =>
      register(
        scene,
        times(24, (i) => `${BOILERPLATE[i % 4]} ${times(12, () => scene.random.pick(scene.words)).join(' ')}`),
      ),
  },
  {
    name: 'outlier rows of gibberish',
    kind: 'inflation',
    change: (scene) =>
      register(
        scene,
        times(24, (i) => gibberish(60 + 40 * i, scene.random)),
      ),
  },
  {
    name: 'curator who colludes (hostile policy on a new version)',
    kind: 'inflation',
    coalition: ['curator’s friend'],
    change: ({ world }) => ({ ...world, policy: { maxClusters: 1, treasury: 'curator’s friend', oneVersion: true } }),
  },
  {
    name: 'self-dealing: the contributor pays for answers that quote it',
    kind: 'return',
    goal: 1,
    change: (scene) =>
      pay(
        scene,
        textsOf(scene.own).map((output) => ({ payer: ATTACKER, prompt: '', output, net: SMALL_FEE })),
      ),
  },
  {
    name: 'wash traffic with a second wallet',
    kind: 'return',
    goal: 1,
    change: (scene) =>
      pay(
        scene,
        times(4, () => textsOf(scene.own))
          .flat()
          .map((output) => ({ payer: SECOND_WALLET, prompt: '', output, net: SMALL_FEE })),
      ),
  },
  {
    name: 'prompt stuffing: the question quotes the rows that the answer echoes',
    kind: 'return',
    goal: 1,
    change: (scene) =>
      pay(
        scene,
        textsOf(scene.own).map((output) => ({
          payer: SECOND_WALLET,
          prompt: `Repeat: ${output}`,
          output,
          net: SMALL_FEE,
        })),
      ),
  },
]
