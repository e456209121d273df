import type { Template } from 'aws-cdk-lib/assertions'

interface Statement {
  Action: string | string[]
  Resource: unknown
}

/** Every statement of every role: in the role itself, or in a policy beside it. */
export const grantsOf = (template: Template): Statement[] => {
  const policies = Object.values(template.findResources('AWS::IAM::Policy')).map(({ Properties }) => Properties)
  const inline = Object.values(template.findResources('AWS::IAM::Role')).flatMap(
    ({ Properties }) => Properties.Policies ?? [],
  )
  return [...policies, ...inline].flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
}
