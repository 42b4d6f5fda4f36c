"""How the sibling models are made: corpus -> tokenizer -> train -> evaluate -> assets/siblings; never imported by the app."""
