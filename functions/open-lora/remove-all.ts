import type { Fleet } from './fleet.ts'

const LOOK_AGAIN_MS = 10_000
/** A call of ensure-hosting that went through the gate before it was shut may run on for 29 s, and make one more endpoint. */
const STILL_MADE_MS = 30_000

/**
 * Takes down every endpoint until none is left but what is being deleted, and none was made for as long as one can be. One
 * that SageMaker does not let go of yet (it is still coming up) is tried again while `timeLeft`; then throws with the names
 * that still run.
 */
export const removeAll = async (
  fleet: Fleet,
  timeLeft: () => boolean,
  wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
): Promise<void> => {
  for (let quietMs = 0; ; ) {
    const running = (await fleet.list()).filter(({ status }) => status !== 'Deleting')
    if (running.length === 0 && (quietMs >= STILL_MADE_MS || !timeLeft())) return
    const refused: string[] = []
    for (const { name } of running)
      await fleet.remove(name).catch((error: Error) => refused.push(`${name}: ${error.message}`))
    if (!timeLeft() && running.length > 0)
      throw new Error(`endpoints still run: ${refused.join('; ') || running.map(({ name }) => name).join()}`)
    await wait(LOOK_AGAIN_MS)
    quietMs = running.length === 0 ? quietMs + LOOK_AGAIN_MS : 0
  }
}
