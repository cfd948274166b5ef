/** The page's script: the text of the functions in `client/`, each of which refers to nothing but the page and `app`. */
import { installActions } from "./client/Actions.ts"
import { installCharts } from "./client/Charts.ts"
import { installElements } from "./client/Elements.ts"
import { installEventLog } from "./client/EventLog.ts"
import { installFacts } from "./client/Facts.ts"
import { installFeed } from "./client/Feed.ts"
import { installLanes } from "./client/Lanes.ts"
import { installMain } from "./client/Main.ts"
import { installPlots } from "./client/Plots.ts"
import { installPools } from "./client/Pools.ts"
import { installTables } from "./client/Tables.ts"
import { installTiles } from "./client/Tiles.ts"
import { installVerdict } from "./client/Verdict.ts"
import { installWords } from "./client/Words.ts"

/** In the order in which they are called: each uses what the ones before it have added to `app`. */
export const installers = [
  installElements,
  installWords,
  installFeed,
  installActions,
  installPools,
  installPlots,
  installLanes,
  installVerdict,
  installTiles,
  installCharts,
  installTables,
  installEventLog,
  installFacts,
  installMain
]

/**
 * Comments, most white space and what else can be said shorter are a quarter of the text, and the browser needs none of it. Strings
 * stay as they are, also those within others; patterns have no space in them, and a space between two signs means something.
 */
const shortened = (text: string): string =>
  text
    .replaceAll(
      /("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:\$\{(?:[^`}]|`[^`]*`)*\}|[^`\\]|\\.)*`)|\/\/.*|\/\*[^]*?\*\/|\b(?:const|undefined|true|false)\b|(?<![+-]\s*)\s*([=?:,{}()[\]<>;|&*%!.]|(?<=[\w)\]] )\/(?= )|[+-](?!\s*[+-]))\s*|\s+/g,
      (part: string, literal?: string, sign?: string) =>
        literal ?? sign ?? shorter[part] ?? (part.startsWith("/") ? "" : " ")
    )
    .replaceAll(";}", "}")
    .replaceAll(/(?<!\w)\((\w+)\)=>/g, "$1=>")
    // Declarations that follow one another are one. Not those in the head of a `for`, and none with a body.
    .replaceAll(/(?<!\()\blet(?:\{[^{}]*\}| |(?=\[))[^;{}]*(?:;let(?:\{[^{}]*\}| |(?=\[))[^;{}]*)+/g, (lets) =>
      lets.replaceAll(/;let ?/g, ",")
    )
    .replace(/^function\s*\w*\((\w*)\)/, "$1=>")

const shorter: Readonly<Record<string, string>> = { const: "let", undefined: "void 0", true: "!0", false: "!1" }

/** The page's script as a whole. `__name`: what some bundlers and loaders put around every function, to keep its name. */
export const script: string = [
  "let app={onRender:[]},__name=(value)=>value",
  ...installers.map((install) => `(${shortened(install.toString())})(app)`)
].join(";\n")
