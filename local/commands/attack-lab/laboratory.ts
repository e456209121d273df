import { ATTACKER, ATTACKS, type Attack, type Scene } from './attacks.ts'
import { chance } from './chance.ts'
import { type Corpus, readCorpus } from './corpus.ts'
import { payByOurs } from './ours.ts'
import { type PeerRule, payByPeer } from './peers.ts'
import { type Pay, share, type World } from './world.ts'

export interface LabOptions {
  seed: number
  quick: boolean
  corpora?: string | undefined
  progress(message: string): void
  /** Runs only the attacks with such names. */
  only?: (name: string) => boolean
}

interface Figure {
  /** Payout of the attacker's side after / before, or what comes back / what it paid. */
  inflation: number
  /** Part of the honest contributors' pay that is gone. */
  honestLoss: number
}

export interface AttackResult {
  attack: string
  kind: Attack['kind']
  ours: Figure & { provenanceTaken: number }
  datainf: Figure
  tfidf: Figure
  goal: number | null
  met: boolean | null
}

/** Runs every attack under our rule and under the peers'. Same texts, same traffic, same seed. */
export const runLaboratory = async ({
  seed,
  quick,
  corpora,
  progress,
  only = () => true,
}: LabOptions): Promise<AttackResult[]> => {
  const corpus = readCorpus(seed, quick ? 5 : 10, quick ? 4 : 10, corpora)
  const before = await paid(sceneOf(corpus, seed).world, corpus, seed)
  const results: AttackResult[] = []
  for (const attack of ATTACKS.filter(({ name }) => only(name))) {
    const started = performance.now()
    const scene = sceneOf(corpus, seed)
    const world = attack.change(scene)
    const after = await paid(world, corpus, seed)
    results.push(judge(attack, scene, world, before, after))
    progress(`${attack.name}: ${((performance.now() - started) / 1000).toFixed(1)} s`)
  }
  return results
}

/** Honest contributors and the attacker's honest base; half of the answers quote a row, half say something unseen. */
const sceneOf = (corpus: Corpus, seed: number): Scene => {
  const last = corpus.contributors.length - 1
  const nameOf = (i: number) => (i === last ? ATTACKER : `honest ${i}`)
  const rows = corpus.contributors.flatMap((source, i) =>
    source.rows.map((text) => ({ contributor: nameOf(i), text, batch: i })),
  )
  const answers = corpus.contributors.flatMap(({ rows: own, unseen }) =>
    [own[0]!, own[1]!, unseen[0]!, unseen[1]!].map((output) => ({
      payer: 'client',
      prompt: '',
      output,
      net: 10n ** 18n,
    })),
  )
  return {
    world: { rows, answers },
    honest: rows.filter(({ contributor }) => contributor !== ATTACKER),
    own: rows.filter(({ contributor }) => contributor === ATTACKER),
    words: [...new Set(corpus.reference.join(' ').split(' '))],
    random: chance(seed + 1),
  }
}

const paid = async (world: World, corpus: Corpus, seed: number) => {
  const known = new Map<string, Pay>()
  const peer = (rule: PeerRule, unweighted: boolean): Pay => {
    const pay = known.get(`${rule} ${unweighted}`) ?? payByPeer(rule, world, corpus.reference, seed, unweighted)
    known.set(`${rule} ${unweighted}`, pay)
    return pay
  }
  return { ours: await payByOurs(world, corpus.reference, seed), peer }
}
type Paid = Awaited<ReturnType<typeof paid>>

const judge = (attack: Attack, scene: Scene, world: World, before: Paid, after: Paid): AttackResult => {
  const side = [ATTACKER, ...(attack.coalition ?? [])]
  const honest = [...new Set(scene.honest.map(({ contributor }) => contributor))]
  const fees = world.answers.slice(scene.world.answers.length).reduce((sum, { net }) => sum + Number(net), 0)
  const figure = (then: Map<string, number>, now: Map<string, number>): Figure => {
    const [was, is] = [share(then, side), share(now, side)]
    return {
      inflation: round(attack.kind === 'return' ? (is - was) / fees : is / was),
      honestLoss: round(1 - share(now, honest) / share(then, honest)),
    }
  }
  // What wash traffic gets out of a rule that sums scores over an epoch is the peers' published weakness: measure that.
  const unweighted = attack.kind === 'return'
  const peer = (rule: PeerRule) => figure(before.peer(rule, unweighted), after.peer(rule, unweighted))
  const ours = figure(before.ours.pay, after.ours.pay)
  const goal = attack.goal ?? null
  const taken = honest.reduce(
    (sum, name) => sum + share(before.ours.provenance, [name]) - share(after.ours.provenance, [name]),
    0,
  )
  const provenanceTaken = round(taken / share(before.ours.provenance, honest))
  return {
    attack: attack.name,
    kind: attack.kind,
    ours: { ...ours, provenanceTaken },
    datainf: peer('datainf'),
    tfidf: peer('tfidf'),
    goal,
    met: goal === null ? null : ours.inflation <= goal,
  }
}

const round = (value: number) => Math.round(value * 1000) / 1000
