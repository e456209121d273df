/** Points out of the training image's lines `METRIC step=3 train_loss=2.41 ...`; other lines are passed over. */
export const metricPoints = (lines: readonly string[]): Record<string, number>[] =>
  lines
    .filter((line) => line.startsWith('METRIC '))
    .map((line) =>
      Object.fromEntries(
        line
          .slice(7)
          .trim()
          .split(/\s+/)
          .map((pair) => pair.split('=') as [string, string])
          .map(([name, value]) => [name, Number(value)] as const)
          .filter(([, value]) => Number.isFinite(value)),
      ),
    )
    .filter((point) => Object.keys(point).length > 0)
